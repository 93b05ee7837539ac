package app_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatehouse/gatehouse/gateway/internal/app"
	"github.com/gatehouse/gatehouse/gateway/internal/gatewaytest"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// The benchmark runs the gateway, its peer and the services behind both as processes of their own, so that what is measured is the CPU
// of a gateway and nothing else. Each is this test binary in another role, told by this variable.
const (
	roleVariable = "GATEHOUSE_TEST_BENCH_ROLE"
	setVariable  = "GATEHOUSE_TEST_BENCH_SETUP"
)

// fresh is how many tokens the pool has: twice what a gateway remembers (internal/token), so a token that comes again was forgotten.
const fresh = 16384

// setup is what the services tell the others.
type setup struct {
	Offset, Upstream int    // port offset of the gateway; port of Identity's upstream listener
	Pool             string // file with the fresh tokens, one a line
	Path, Key        string
	Bearer           string // the one token
}

// BenchmarkChain is the gateway's CPU per request, GET of a user with a bearer token, beside a raw grpc-gateway mux with golang-jwt
// EdDSA verification in front of the same upstream, in interleaved rounds: with one token again and again, as a client sends it, and
// with a token that the gateway has not seen in each request, the worst case, which its memory of proofs cannot help. Bound: ratio 1.5.
func BenchmarkChain(b *testing.B) {
	services := newRole(b, "services", setup{Pool: b.TempDir() + "/tokens"})
	var s setup
	if err := json.Unmarshal([]byte(services.line), &s); err != nil {
		b.Fatal(err)
	}
	tokens, err := os.ReadFile(s.Pool)
	if err != nil {
		b.Fatal(err)
	}
	pool := strings.Fields(string(tokens))
	one := func() string { return s.Bearer }
	chain, raw := newRole(b, "chain", s), newRole(b, "raw", s)
	freshChain, freshRaw := inTurn(pool), inTurn(pool)
	var once, always compared
	for _, gateway := range []*role{chain, raw} {
		gateway.load(b, s, 4000, one) // warm
	}
	for b.Loop() {
		for range 5 {
			once.add(chain.load(b, s, 3000, one), raw.load(b, s, 3000, one))
			always.add(chain.load(b, s, 3000, freshChain), raw.load(b, s, 3000, freshRaw))
		}
	}
	once.report(b, "")
	always.report(b, "fresh-")
	b.ReportMetric(1.5, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// inTurn returns the tokens one after the other, from the first again after the last.
func inTurn(tokens []string) func() string {
	var next atomic.Uint64
	return func() string { return tokens[(next.Add(1)-1)%uint64(len(tokens))] }
}

// compared are rounds of both gateways, in CPU microseconds per request.
type compared struct{ chains, raws, ratios []float64 }

func (c *compared) add(chain, raw float64) {
	c.chains, c.raws, c.ratios = append(c.chains, chain), append(c.raws, raw), append(c.ratios, chain/raw)
}

func (c *compared) report(b *testing.B, prefix string) {
	b.ReportMetric(middle(c.chains), prefix+"chain-µs-cpu/req")
	b.ReportMetric(middle(c.raws), prefix+"raw-µs-cpu/req")
	b.ReportMetric(middle(c.ratios), prefix+"ratio")
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// role is a process in a role. It answers every line on its input with its CPU time so far, and ends with its input.
type role struct {
	in    io.Writer
	out   *bufio.Scanner
	line  string // what it said when it was ready: where it listens, or the setup
	conns http.Client
}

func newRole(b *testing.B, name string, s setup) *role {
	b.Helper()
	told, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	log, err := os.Create(b.TempDir() + "/" + name + ".log") // a gateway logs to a file too
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchmarkRole$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), roleVariable+"="+name, setVariable+"="+string(told))
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	r := &role{in: in, out: bufio.NewScanner(out), conns: http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	b.Cleanup(func() {
		r.conns.CloseIdleConnections()
		_ = in.Close()
		_ = cmd.Wait() // the line "ready" came, so it has done its work
		_ = log.Close()
	})
	r.line = r.next(b)
	return r
}

// next returns the next line that the process says to us; its test framework says others.
func (r *role) next(b *testing.B) string {
	b.Helper()
	for r.out.Scan() {
		if line, ok := strings.CutPrefix(r.out.Text(), "BENCH "); ok {
			return line
		}
	}
	b.Fatal("a process of the benchmark ended early")
	return ""
}

func (r *role) cpu(b *testing.B) time.Duration {
	b.Helper()
	_, _ = io.WriteString(r.in, "cpu\n")
	n, err := strconv.ParseInt(r.next(b), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}

// load sends so many requests on eight connections and returns the CPU microseconds that each cost the process.
func (r *role) load(b *testing.B, s setup, count int, bearer func() string) float64 {
	b.Helper()
	var (
		left   atomic.Int64
		failed atomic.Value
		wg     sync.WaitGroup
	)
	left.Store(int64(count))
	before := r.cpu(b)
	for range 8 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := r.get(s, bearer()); err != nil {
					failed.Store(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err, ok := failed.Load().(error); ok {
		b.Fatal(err)
	}
	return float64((r.cpu(b) - before).Microseconds()) / float64(count)
}

func (r *role) get(s setup, bearer string) error {
	q, err := http.NewRequest(http.MethodGet, r.line+s.Path, nil)
	if err != nil {
		return err
	}
	q.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := r.conns.Do(q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "a@example.com")) {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	return err
}

// TestBenchmarkRole is the processes of BenchmarkChain; in an ordinary run there is nothing to do.
func TestBenchmarkRole(t *testing.T) {
	var s setup
	if told := os.Getenv(setVariable); told != "" {
		if err := json.Unmarshal([]byte(told), &s); err != nil {
			t.Fatal(err)
		}
	}
	switch os.Getenv(roleVariable) {
	case "services":
		say(serviceRole(t, s))
	case "chain":
		say(chainRole(t, s))
	case "raw":
		say(rawRole(t, s))
	default:
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		say(strconv.FormatInt(usage.Utime.Nano()+usage.Stime.Nano(), 10))
	}
}

func say(line string) { fmt.Println("BENCH " + line) }

func serviceRole(t *testing.T, s setup) string {
	services := gatewaytest.Start(t, nil)
	id := services.Users.Add("a@example.com", "A")
	var pool strings.Builder
	for range fresh {
		pool.WriteString(services.Tokens.Sign(services.Tokens.Claims(id)) + "\n")
	}
	if err := os.WriteFile(s.Pool, []byte(pool.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	key, _ := services.Tokens.Key.Public().Public.(ed25519.PublicKey)
	told, err := json.Marshal(setup{
		Offset: services.Offset, Upstream: services.IdentityPort, Pool: s.Pool, Path: "/api/v1/users/" + id,
		Bearer: services.Tokens.Sign(services.Tokens.Claims(id)), Key: base64.StdEncoding.EncodeToString(key),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(told)
}

// chainRole is the gateway as it runs, with its log at info.
func chainRole(t *testing.T, s setup) string {
	env := environment(&gatewaytest.Services{Offset: s.Offset}, map[string]string{"GATEHOUSE_LOG_LEVEL": "info"})
	c, err := parse(t, maps.Collect(maps.All(env)))
	if err != nil {
		t.Fatal(err)
	}
	gateway := fxmod.New(app.Module(c))
	if err := gateway.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gateway.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	url := fmt.Sprintf("http://127.0.0.1:%d", 8080+s.Offset)
	r := &role{line: url}
	check.Eventually(t, "the gateway to serve", func() bool { return r.get(s, s.Bearer) == nil })
	return url
}

// rawRole is what one writes in an hour: the generated mux with its defaults, and golang-jwt before it.
func rawRole(t *testing.T, s setup) string {
	key, err := base64.StdEncoding.DecodeString(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", s.Upstream), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	mux := runtime.NewServeMux()
	if err := identityv1.RegisterUserServiceHandler(t.Context(), mux, conn); err != nil {
		t.Fatal(err)
	}
	verified := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		compact, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		_, err := jwt.Parse(compact, func(*jwt.Token) (any, error) { return ed25519.PublicKey(key), nil }, jwt.WithValidMethods([]string{"EdDSA"}))
		if !ok || err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: verified, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}
