package clients_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

// accessTTL is how long access tokens last for the examples. A client of x/oauth2, which refreshes
// 10 s before a token is over, does so for each request.
const accessTTL = "10s"

// examples are the programs of examples/ and the platform that they work with.
type examples struct {
	p        *platform.Platform
	bin      string
	issuer   string
	provider *oidc.Provider
	api      string // that of examples/api, for audience
	calls    *calls // of it
}

const audience = "https://orders.example.com"

// newExamples builds the programs as their own module says, and starts a platform and the API.
func newExamples(t *testing.T) *examples {
	t.Helper()
	e := &examples{bin: t.TempDir(), issuer: fmt.Sprintf("http://localhost:%d", 8080+portOffset+1000)}
	module := program{dir: "../../examples", env: append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")}
	if untidy := module.run(t, "gofmt", "-l", "."); len(untidy) > 0 {
		t.Errorf("not as gofmt writes them: %s", untidy)
	}
	module.run(t, "go", "vet", "./...")
	module.run(t, "go", "build", "-o", e.bin+string(filepath.Separator), "./...")
	e.p = another(t, "GATEHOUSE_AUTH_ACCESS_TOKEN_TTL="+accessTTL)
	var err error
	e.provider, err = oidc.NewProvider(context.Background(), e.issuer)
	check.NoError(t, err)
	e.calls = &calls{}
	e.api = e.calls.before(t, e.serve(t, "api", "ISSUER="+e.issuer, "AUDIENCE="+audience))
	return e
}

// register registers a client as an administrator does.
func (e *examples) register(t *testing.T, args ...string) registered {
	t.Helper()
	return register(t, e.p, args...)
}

// signUp makes somebody an account, and returns the address.
func (e *examples) signUp(t *testing.T) string {
	t.Helper()
	who := fmt.Sprintf("ada-%d@example.com", time.Now().UnixNano())
	body := fmt.Sprintf(`{"email": %q, "password": %q, "display_name": "Ada"}`, who, password)
	response, err := http.Post(e.issuer+"/api/v1/auth/sign-up", "application/json", strings.NewReader(body))
	check.NoError(t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("sign up: status %d", response.StatusCode)
	}
	return who
}

// command is one of the programs, about to be started.
func (e *examples) command(t *testing.T, name string, env ...string) (*exec.Cmd, *log) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(e.bin, name))
	cmd.Env = append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	said := &log{}
	cmd.Stdout, cmd.Stderr = said, said
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s says:\n%s", name, said)
		}
	})
	return cmd, said
}

// serve starts one of the programs that listen, and returns where.
func (e *examples) serve(t *testing.T, name string, env ...string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	address := strings.Replace(free.Addr().String(), "127.0.0.1", "localhost", 1)
	check.NoError(t, free.Close())
	cmd, _ := e.command(t, name, append(env, "LISTEN="+address, "APP_URL=http://"+address)...)
	check.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	check.Within(t, 30*time.Second, name+" listens", func() error {
		select {
		case <-ended:
			t.Fatal(name + " ended")
		default:
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return "http://" + address
}

// tokens gets a client's tokens for somebody who is signed in, as any library does.
func (e *examples) tokens(t *testing.T, v *visitor.Visitor, client registered, scopes ...string) *oauth2.Token {
	t.Helper()
	config := oauth2.Config{ClientID: client.Client.ID, Endpoint: e.provider.Endpoint(), RedirectURL: "http://127.0.0.1/callback", Scopes: scopes}
	verifier := oauth2.GenerateVerifier()
	page := v.Sent(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
	if page.To == nil || page.To.Query().Get("code") == "" {
		t.Fatalf("no code: %+v", page)
	}
	tokens, err := config.Exchange(t.Context(), page.To.Query().Get("code"), oauth2.VerifierOption(verifier))
	check.NoError(t, err)
	return tokens
}

// calls are the tokens with which an API was called, each once.
type calls struct {
	mu   sync.Mutex
	seen map[string]bool
}

// before puts itself before an API.
func (c *calls) before(t *testing.T, api string) string {
	t.Helper()
	target, err := neturl.Parse(api)
	check.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	c.seen = map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.seen[r.Header.Get("Authorization")] = true
		c.mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// log is what a program says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var _ io.Writer = (*log)(nil)
