// Package bench_test measures the running platform beside the bound or the peer that it is judged by, both sides in one interleaved run.
//
// `make bench` runs it. Ratios hold when the machine's speed drifts; absolute figures are of the machine that printed them.
package bench_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

const (
	portOffset = 4000
	password   = "correct horse battery staple"
)

// running is the platform that the benchmarks share: its programs are built once, and it is up only while a benchmark needs it.
var running struct {
	once sync.Once
	p    *platform.Platform
	err  error
	up   bool
}

func TestMain(m *testing.M) {
	code := m.Run()
	if running.p != nil {
		if code != 0 {
			running.p.PrintLogs(os.Stderr)
		}
		if err := running.p.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func built(b *testing.B) *platform.Platform {
	b.Helper()
	running.once.Do(func() {
		running.p, running.err = platform.New(platform.Options{Offset: portOffset, Env: []string{
			"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS=100000", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS=100000",
			"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT=100000", "GATEHOUSE_GATEWAY_BURST_PER_SUBJECT=100000",
			"GATEHOUSE_GATEWAY_RATE_CREDENTIALS=100000", "GATEHOUSE_GATEWAY_BURST_CREDENTIALS=100000",
			"GATEHOUSE_GATEWAY_RATE_OAUTH=100000", "GATEHOUSE_GATEWAY_BURST_OAUTH=100000",
			"GATEHOUSE_AUTH_FAILURE_BUDGET=1000000"}})
	})
	check.NoError(b, running.err)
	return running.p
}

// started returns the running platform.
func started(b *testing.B) *platform.Platform {
	b.Helper()
	p := built(b)
	if !running.up {
		check.NoError(b, p.Up())
		running.up = true
	}
	return p
}

// stopped returns the platform, of which nothing runs: for benchmarks of one program, which have the machine to themselves.
func stopped(b *testing.B) *platform.Platform {
	b.Helper()
	p := built(b)
	if running.up {
		check.NoError(b, p.Down())
		running.up = false
	}
	return p
}

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// post sends JSON and returns the members of the answer.
func post(p *platform.Platform, path string, body any, want int) (map[string]any, error) {
	return postAs(p, person{}, path, body, want)
}

// postAs is post by somebody who is signed in.
func postAs(p *platform.Platform, who person, path string, body any, want int) (map[string]any, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, p.URL()+path, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if who.access != "" {
		req.Header.Set("Authorization", "Bearer "+who.access)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	return read(resp, want)
}

func get(p *platform.Platform, path, bearer string) error {
	return getStatus(p, path, bearer, http.StatusOK)
}

func getStatus(p *platform.Platform, path, bearer string, want int) error {
	req, err := http.NewRequest(http.MethodGet, p.URL()+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = read(resp, want)
	return err
}

func read(resp *http.Response, want int) (map[string]any, error) {
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != want {
		return nil, fmt.Errorf("status %d, want %d: %s", resp.StatusCode, want, raw)
	}
	var members map[string]any
	return members, json.Unmarshal(raw, &members)
}

type person struct{ email, id, access string }

func signUp(b *testing.B, p *platform.Platform) person {
	b.Helper()
	return arrive(b, p, "/api/v1/auth/sign-up", map[string]string{"email": "bench-" + strings.ToLower(rand.Text()) + "@example.com"})
}

// administrator is the first one of the platform, made by the first benchmark that needs it.
func administrator(b *testing.B, p *platform.Platform) person {
	b.Helper()
	const email = "root@example.com"
	if access, err := signIn(p, email); err == nil {
		return person{email: email, access: access}
	}
	secret, err := p.BootstrapSecret()
	check.NoError(b, err)
	return arrive(b, p, "/api/v1/auth/bootstrap", map[string]string{"email": email, "secret": secret})
}

func arrive(b *testing.B, p *platform.Platform, path string, body map[string]string) person {
	b.Helper()
	body["password"] = password
	a, err := post(p, path, body, http.StatusCreated)
	check.NoError(b, err)
	who := person{email: body["email"]}
	who.id, _ = a["user"].(map[string]any)["id"].(string)
	who.access, err = signIn(p, who.email)
	check.NoError(b, err)
	return who
}

func signIn(p *platform.Platform, email string) (string, error) {
	a, err := post(p, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password}, http.StatusOK)
	if err != nil {
		return "", err
	}
	token, ok := a["access_token"].(string)
	if !ok {
		return "", errors.New("no access token in the answer")
	}
	return token, nil
}

// until repeats do until it succeeds, and fails the benchmark with its last error when that takes too long.
func until(b *testing.B, patience, pause time.Duration, do func() error) {
	b.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(pause) {
		err := do()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			b.Fatal(err)
		}
	}
}

// median of a non-empty list.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// rate runs do on n goroutines for about d and returns how often it ended per second.
func rate(ctx context.Context, n int, d time.Duration, do func() error) (float64, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		count int
		first error
	)
	start := time.Now()
	for range n {
		wg.Go(func() {
			for time.Since(start) < d && ctx.Err() == nil {
				err := do()
				mu.Lock()
				count++
				if err != nil && first == nil {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return float64(count) / time.Since(start).Seconds(), first
}
