package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"

	"github.com/gatehouse/gatehouse/gateway/internal/app"
	"github.com/gatehouse/gatehouse/gateway/internal/gatewaytest"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// running is a started gateway with services behind it.
type running struct {
	*gatewaytest.Services
	t   testing.TB
	url string
}

// parse reads a configuration as the program does.
func parse(t testing.TB, env map[string]string) (app.Config, error) {
	t.Helper()
	var (
		cli     app.CLI
		environ []string
	)
	for name, value := range env {
		environ = append(environ, name+"="+value)
	}
	_, err := config.Parse(app.Program, &cli, nil, environ, io.Discard)
	return cli.Serve, err
}

// environment of a gateway in front of the services.
func environment(s *gatewaytest.Services, more map[string]string) map[string]string {
	env := map[string]string{
		"GATEHOUSE_MESH_PORT_OFFSET": fmt.Sprint(s.Offset), "GATEHOUSE_DRAIN_DELAY": "0s", "GATEHOUSE_LOG_LEVEL": "error",
		"GATEHOUSE_TOKEN_ISSUER": grpctest.Issuer, "GATEHOUSE_TOKEN_AUDIENCE": grpctest.Audience,
		"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "100000", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS": "100000",
		"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT": "100000", "GATEHOUSE_GATEWAY_BURST_PER_SUBJECT": "100000",
		"GATEHOUSE_GATEWAY_RATE_CREDENTIALS": "100000", "GATEHOUSE_GATEWAY_BURST_CREDENTIALS": "100000",
	}
	maps.Copy(env, more)
	return env
}

// startOn starts a gateway in front of the services and waits until it is ready; it stops with the test.
func startOn(t testing.TB, s *gatewaytest.Services, more map[string]string) *running {
	t.Helper()
	c, err := parse(t, environment(s, more))
	if err != nil {
		t.Fatal(err)
	}
	gateway := fxmod.New(app.Module(c))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := gateway.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := gateway.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return &running{Services: s, t: t, url: fmt.Sprintf("http://127.0.0.1:%d", 8080+s.Offset)}
}

// start starts services and a gateway that is ready.
func start(t testing.TB, more map[string]string) *running {
	t.Helper()
	r := startOn(t, gatewaytest.Start(t, nil), more)
	check.Eventually(t, "the gateway to be ready", func() bool { return r.do(request{path: "/readyz"}).status == http.StatusOK })
	check.Eventually(t, "the revocation feed", func() bool {
		return r.do(request{path: "/api/v1/users/x", bearer: r.bearer("nobody")}).status != http.StatusServiceUnavailable
	})
	return r
}

// request is one HTTP request.
type request struct {
	method, path, body, bearer string
	header                     map[string]string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem is the problem document of a refusal.
type problem struct {
	Type, Title, Detail, Instance, Reason string
	Status                                int
	Errors                                []struct{ Field, Rule, Description string }
}

func (r *running) do(q request) answer {
	r.t.Helper()
	if q.method == "" {
		q.method = http.MethodGet
	}
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	hr, err := http.NewRequestWithContext(r.t.Context(), q.method, r.url+q.path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if q.body != "" {
		hr.Header.Set("Content-Type", "application/json")
	}
	if q.bearer != "" {
		hr.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	for name, value := range q.header {
		if hr.Header[name] = []string{value}; value == "" {
			delete(hr.Header, name)
		}
	}
	resp, err := http.DefaultClient.Do(hr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: string(text)}
}

// refused performs the request and returns its problem document, which must be well-formed (R60).
func (r *running) refused(status int, q request) problem {
	r.t.Helper()
	a := r.do(q)
	if a.status != status {
		r.t.Fatalf("%s %s: status %d, want %d: %s", q.method, q.path, a.status, status, a.body)
	}
	r.listed(q, a)
	return document(r.t, a)
}

func document(t testing.TB, a answer) problem {
	t.Helper()
	var p problem
	decoder := json.NewDecoder(bytes.NewReader([]byte(a.body)))
	if err := decoder.Decode(&p); err != nil {
		t.Fatalf("status %d with a body that is not a problem document: %v: %q", a.status, err, a.body)
	}
	switch {
	case a.header.Get("Content-Type") != "application/problem+json":
		t.Errorf("content type %q", a.header.Get("Content-Type"))
	case p.Status != a.status:
		t.Errorf("status member %d in an answer of status %d", p.Status, a.status)
	case !strings.HasPrefix(p.Type, "https://"):
		t.Errorf("type %q is not absolute", p.Type)
	case p.Reason == "" || p.Title == "":
		t.Errorf("no reason or title: %s", a.body)
	case a.header.Get("X-Request-Id") == "" || !strings.HasSuffix(p.Instance, a.header.Get("X-Request-Id")):
		t.Errorf("instance %q does not name the request %q", p.Instance, a.header.Get("X-Request-Id"))
	}
	return p
}

func (r *running) bearer(userID string) string { return r.Tokens.Sign(r.Tokens.Claims(userID)) }

func TestModuleIsComplete(t *testing.T) {
	c, err := parse(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fx.ValidateApp(app.Module(c)); err != nil {
		t.Fatal(err)
	}
}

func TestStartAndStopLeaveNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Run("one life", func(t *testing.T) {
		r := start(t, nil)
		id := r.Users.Add("a@example.com", "A")
		if a := r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id)}); a.status != http.StatusOK {
			t.Errorf("status %d: %s", a.status, a.body)
		}
	})
}
