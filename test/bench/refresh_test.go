package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

// BenchmarkRefresh is the refreshes a second of the sessions of four backends with sixteen people
// each, all at a time: at the token endpoint, through every sidecar, and at the gRPC port of an Auth
// that runs beside the platform's own, past the mesh; beside commits of one row on sixteen
// connections to the same PostgreSQL, in interleaved slices. Bound: ratio 0.4.
// It also prints the CPU that a refresh at the token endpoint costs, in ms: all of it and each
// process.
func BenchmarkRefresh(b *testing.B) {
	const (
		slice    = 1500 * time.Millisecond
		backends = 4
		people   = 16
	)
	p := started(b)
	free := make(chan *session, backends*people) // those that nobody refreshes at the moment
	for range backends {
		for _, s := range beginSessions(b, p, people) {
			free <- s
		}
	}
	alone := secondAuth(b, p, 1, pastMesh(b, p, "auth"))
	each := func(refresh func(*session) error) func() error {
		return func() error {
			s := <-free
			defer func() { free <- s }()
			return refresh(s)
		}
	}
	endpoint, port, commit := each((*session).refresh), each(alone.refresh), commits(b, p, 16)
	measure := func(n int, do func() error) float64 {
		perSecond, err := rate(context.Background(), n, slice, do)
		check.NoError(b, err)
		return perSecond
	}
	pids := processes(b, p)
	found := map[string][]float64{}
	round := func() {
		before := used(b, pids)
		refreshed := measure(cap(free), endpoint)
		<-time.After(100 * time.Millisecond) // the last events arrive in the trail
		for name, ms := range used(b, pids) {
			found[name+"-ms"] = append(found[name+"-ms"], (ms-before[name])/(refreshed*slice.Seconds()))
		}
		committed, past := measure(16, commit), measure(cap(free), port)
		for name, value := range map[string]float64{
			"refreshes/s": refreshed, "commits/s": committed, "auth-refreshes/s": past, "ratio": refreshed / committed, "auth-ratio": past / committed,
		} {
			found[name] = append(found[name], value)
		}
	}
	round() // warm
	clear(found)
	for b.Loop() {
		round()
		round()
	}
	all := 0.0
	for name, values := range found {
		b.ReportMetric(median(values), name)
		if strings.HasSuffix(name, "-ms") {
			all += median(values)
		}
	}
	b.ReportMetric(all, "cpu-ms")
	b.ReportMetric(0.4, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// session is a client's session, with the newest of its tokens.
type session struct {
	backend *oauth2.Config
	tokens  *oauth2.Token
}

// refresh exchanges the refresh token for the next pair.
func (s *session) refresh() error {
	old := s.tokens.RefreshToken
	s.tokens.Expiry = time.Unix(1, 0) // so that the library needs another one
	next, err := s.backend.TokenSource(withClient(), s.tokens).Token()
	if err != nil {
		return err
	}
	if next.RefreshToken == old {
		return errors.New("a refresh has left the refresh token as it was")
	}
	s.tokens = next
	return nil
}

// refresh does it at the gRPC port.
func (a auth) refresh(s *session) error {
	ctx := metadata.AppendToOutgoingContext(context.Background(), request.CallerHeader, grpctest.SPIFFE("gateway"))
	asked := httptest.NewRequest(http.MethodPost, "/oauth2/token", nil)
	asked.SetBasicAuth(s.backend.ClientID, s.backend.ClientSecret)
	response, err := authv1.NewOpenIDServiceClient(a.conn).Token(ctx, &authv1.TokenRequest{Http: &webv1.Request{
		Headers: []*webv1.Header{
			{Name: "Authorization", Value: []byte(asked.Header.Get("Authorization"))},
			{Name: "Content-Type", Value: []byte("application/x-www-form-urlencoded")},
		},
		Body: []byte(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.tokens.RefreshToken}}.Encode()),
	}})
	if err != nil {
		return err
	}
	if status := response.GetHttp().GetStatus(); status != http.StatusOK {
		return fmt.Errorf("status %d: %s", status, response.GetHttp().GetBody())
	}
	return json.Unmarshal(response.GetHttp().GetBody(), s.tokens)
}

func withClient() context.Context {
	return context.WithValue(context.Background(), oauth2.HTTPClient, client)
}

// beginSessions registers a backend and signs a person in to it n times.
func beginSessions(b *testing.B, p *platform.Platform, n int) (all []*session) {
	b.Helper()
	const callback = "https://app.example.com/callback"
	backend := &oauth2.Config{
		RedirectURL: callback, Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: p.URL() + "/oauth2/authorize", TokenURL: p.URL() + "/oauth2/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
	backend.ClientID, backend.ClientSecret = register(b, p, callback)
	cookie, err := signInByPage(p, signUp(b, p).email)
	check.NoError(b, err)
	for range n {
		verifier := oauth2.GenerateVerifier()
		asked, err := url.Parse(backend.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)))
		check.NoError(b, err)
		_, location, err := visit(p, asked.RequestURI(), nil, cookie, http.StatusSeeOther)
		check.NoError(b, err)
		tokens, err := backend.Exchange(withClient(), location.Query().Get("code"), oauth2.VerifierOption(verifier))
		check.NoError(b, err)
		all = append(all, &session{backend: backend, tokens: tokens})
	}
	return all
}

// register makes a client with a secret.
func register(b *testing.B, p *platform.Platform, callback string) (id, secret string) {
	b.Helper()
	root := administrator(b, p)
	var made map[string]any
	until(b, 20*time.Second, 20*time.Millisecond, func() (err error) { // the relationships are on their way
		made, err = postAs(p, root, "/api/v1/clients", map[string]any{"name": "bench", "redirect_uris": []string{callback}}, http.StatusCreated)
		return err
	})
	id, _ = made["client"].(map[string]any)["id"].(string)
	secret, _ = made["secret"].(string)
	return id, secret
}

// pastMesh is the environment of a program that reaches its database without a sidecar.
func pastMesh(b *testing.B, p *platform.Platform, program string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(p.State, "secrets", "postgres-"+program+".url"))
	check.NoError(b, err)
	u, err := url.Parse(strings.TrimSpace(string(text)))
	check.NoError(b, err)
	u.Host = fmt.Sprintf("127.0.0.1:%d", mesh.PostgresPort+portOffset)
	file := filepath.Join(b.TempDir(), "postgres.url")
	check.NoError(b, os.WriteFile(file, []byte(u.String()), 0o600))
	return "GATEHOUSE_POSTGRES_URL_FILE=" + file
}

// commits returns what commits one row on whichever of n connections of its own is free.
func commits(b *testing.B, p *platform.Platform, n int) func() error {
	b.Helper()
	free := make(chan *pgx.Conn, n)
	for range n {
		conn, err := p.Database(b.Context())
		check.NoError(b, err)
		b.Cleanup(func() { _ = conn.Close(context.Background()) })
		free <- conn
	}
	conn := <-free
	_, err := conn.Exec(b.Context(), "create schema bench; create table bench.commits (id bigint primary key)")
	check.NoError(b, err)
	b.Cleanup(func() { _, _ = conn.Exec(context.Background(), "drop schema bench cascade") })
	free <- conn
	var id atomic.Int64
	return func() error {
		conn := <-free
		defer func() { free <- conn }()
		_, err := conn.Exec(b.Context(), "insert into bench.commits (id) values ($1)", id.Add(1))
		return err
	}
}
