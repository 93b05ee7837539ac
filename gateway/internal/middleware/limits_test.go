package middleware

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
)

const page = "https://app.example.com"

// asked makes a request of somebody, "" for nobody.
func asked(verb, path, subject string) *http.Request {
	r := httptest.NewRequest(verb, path, nil)
	if subject != "" {
		r.Header.Set("Authorization", "Bearer "+subject)
	}
	return r
}

func preflight() *http.Request {
	r := asked(http.MethodOptions, "/api/v1/me", "")
	r.Header.Set("Origin", page)
	r.Header.Set("Access-Control-Request-Method", http.MethodGet)
	return r
}

func credentials() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/auth/sign-in", strings.NewReader(`{"email":"a@example.com","password":"p"}`))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// change is a password change of somebody who is signed in.
func change() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/me/password", strings.NewReader(`{"old_password":"p","new_password":"a long enough password"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer ada")
	return r
}

func elsewhere(r *http.Request) *http.Request {
	r.RemoteAddr = "203.0.113.9:1"
	return r
}

// Each limit counts what is its own: one who has used up a rate is answered 429 and when to come
// back, also a page's preflight, which may read that; others are not held up.
func TestRates(t *testing.T) {
	for name, c := range map[string]struct {
		rate   func(*Params, Rate)
		often  func() *http.Request
		others map[string]*http.Request
	}{
		"an address": {
			func(p *Params, r Rate) { p.PerAddress = r }, func() *http.Request { return asked(http.MethodGet, "/api/v1/me", "ada") },
			map[string]*http.Request{"another address": elsewhere(asked(http.MethodGet, "/api/v1/me", "ada"))},
		},
		"an address's preflights": {
			func(p *Params, r Rate) { p.PerAddress = r }, preflight, map[string]*http.Request{"another address": elsewhere(preflight())},
		},
		"a subject": {
			func(p *Params, r Rate) { p.PerSubject = r }, func() *http.Request { return asked(http.MethodGet, "/api/v1/me", "ada") },
			map[string]*http.Request{"another subject": asked(http.MethodGet, "/api/v1/me", "eve"), "credentials": credentials()},
		},
		"guesses": {
			func(p *Params, r Rate) { p.PerCredential = r }, credentials,
			map[string]*http.Request{
				"another address": elsewhere(credentials()), "who has a token": asked(http.MethodGet, "/api/v1/me", "ada"), "another route": change(),
			},
		},
		"guesses of who is signed in": {
			func(p *Params, r Rate) { p.PerCredential = r }, change,
			map[string]*http.Request{"another address": elsewhere(change()), "another route": asked(http.MethodGet, "/api/v1/me", "ada")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := chain(t, func(http.ResponseWriter, *http.Request) {}, func(p *Params) {
				p.Origins = pages(t, page)
				c.rate(p, Rate{PerSecond: 0.001, Burst: 1}) // a bucket begins with one
			})
			if w := serve(h, c.often()); w.Code >= http.StatusBadRequest {
				t.Fatalf("the first: %d %s", w.Code, w.Body)
			}
			w := serve(h, c.often())
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"reason":"RATE_LIMITED"`) {
				t.Errorf("the second: %d %v %s", w.Code, w.Header(), w.Body)
			}
			if origin := c.often().Header.Get("Origin"); w.Header().Get("Access-Control-Allow-Origin") != origin {
				t.Errorf("a page of %q may not read it: %v", origin, w.Header())
			}
			for who, r := range c.others {
				if w := serve(h, r); w.Code >= http.StatusBadRequest {
					t.Errorf("%s: %d %s", who, w.Code, w.Body)
				}
			}
		})
	}
}

// The contract says which routes take what people choose, and others could guess: those have the
// small budget, with a token and without one. What programs prove themselves with nobody guesses.
func TestRoutesThatTakeCredentials(t *testing.T) { // R7, R9
	var got []string
	for _, m := range meshtest.Contract(t).Methods() {
		if m.Route != nil && (&rest.Route{Method: m}).Credentials() {
			got = append(got, m.Route.Verb+" "+m.Route.Path)
		}
	}
	slices.Sort(got)
	want := []string{
		"GET /oauth2/logout",
		"POST /accept-invitation",
		"POST /account/authenticator",
		"POST /account/authenticator/remove",
		"POST /account/email",
		"POST /account/email/verify",
		"POST /account/password",
		"POST /account/recovery-codes",
		"POST /account/sessions/end",
		"POST /account/sessions/end-others",
		"POST /api/v1/auth/accept-invitation",
		"POST /api/v1/auth/bootstrap",
		"POST /api/v1/auth/recover",
		"POST /api/v1/auth/refresh",
		"POST /api/v1/auth/reset-password",
		"POST /api/v1/auth/sign-in",
		"POST /api/v1/auth/sign-in/challenge",
		"POST /api/v1/auth/sign-up",
		"POST /api/v1/auth/verify-email",
		"POST /api/v1/me/email:confirm",
		"POST /api/v1/me/password",
		"POST /api/v1/me/totp:confirm",
		"POST /confirm-email",
		"POST /recover",
		"POST /reset-password",
		"POST /sign-in",
		"POST /sign-in/code",
		"POST /sign-out",
		"POST /sign-up",
		"POST /verify-email",
	}
	if !slices.Equal(got, want) {
		t.Errorf("these do: %q,\nwant %q", got, want)
	}
}

// Streams are counted while they are open: those of one subject are its own fault, those of all are
// not; nothing else is counted.
func TestStreamsAreLimited(t *testing.T) {
	opened, end, registry := make(chan struct{}), make(chan struct{}), prometheus.NewRegistry()
	h, _ := chain(t, func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ":tail") {
			opened <- struct{}{}
			<-end
		}
	}, func(p *Params) { p.Registry, p.Streams, p.StreamsPerSubject = registry, 3, 2 })
	const tail = "/api/v1/audit/events:tail"
	open := func(subject string) <-chan struct{} {
		t.Helper()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			serve(h, asked(http.MethodGet, tail, subject))
		}()
		<-opened
		return ended
	}
	refused := func(subject string, status int, reason string) {
		t.Helper()
		w := serve(h, asked(http.MethodGet, tail, subject))
		if w.Code != status || w.Header().Get("Retry-After") != "5" || !strings.Contains(w.Body.String(), `"reason":"`+reason+`"`) {
			t.Errorf("%s: %d %v %s, want %d %s", subject, w.Code, w.Header(), w.Body, status, reason)
		}
	}
	all := []<-chan struct{}{open("ada"), open("ada")}
	refused("ada", http.StatusTooManyRequests, "TOO_MANY_STREAMS")
	all = append(all, open("eve"))
	refused("eve", http.StatusServiceUnavailable, "TOO_MANY_STREAMS")
	if w := serve(h, asked(http.MethodGet, "/api/v1/me", "ada")); w.Code != http.StatusOK {
		t.Errorf("a call beside the streams: %d", w.Code)
	}
	if n := gauge(t, registry, "gatehouse_http_streams"); n != 3 {
		t.Errorf("%v streams are counted", n)
	}
	end <- struct{}{}
	end <- struct{}{}
	end <- struct{}{}
	for _, ended := range all {
		<-ended
	}
	again := open("ada")
	close(end)
	<-again
}

// gauge is a value of a registry.
func gauge(t *testing.T, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range all {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("%s is not registered", name)
	return 0
}

// until admits everybody with a token that ends then.
type until time.Time

func (u until) Verify(_ context.Context, compact string) (token.Claims, error) {
	return token.Claims{Subject: compact, ExpiresAt: time.Time(u)}, nil
}

// A call has its method's time, whatever its client says; a stream has its token's.
func TestDeadlines(t *testing.T) {
	expires := time.Now().Add(time.Hour)
	for path, want := range map[string]time.Duration{"/api/v1/me": contract.DefaultTimeout, "/api/v1/audit/events:tail": time.Hour} {
		h, _ := chain(t, func(_ http.ResponseWriter, r *http.Request) {
			if at, ok := r.Context().Deadline(); !ok || time.Until(at) > want || time.Until(at) < want-time.Minute {
				t.Errorf("%s ends at %v, %t, want within %s", path, at, ok, want)
			}
		}, func(p *Params) { p.Verifier = until(expires) })
		if w := serve(h, asked(http.MethodGet, path, "ada")); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	h, _ := chain(t, func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		var cause *apierr.Error
		if !errors.As(context.Cause(r.Context()), &cause) || cause.Reason != "TOKEN_EXPIRED" {
			t.Errorf("the stream ends because of %v", context.Cause(r.Context()))
		}
	}, func(p *Params) { p.Verifier = until(time.Now().Add(20 * time.Millisecond)) })
	serve(h, asked(http.MethodGet, "/api/v1/audit/events:tail", "ada"))
}

// What contradicts itself, or is registered twice, stops the start.
func TestChainThatCannotBeMade(t *testing.T) {
	registry := prometheus.NewRegistry()
	_, _ = chain(t, nil, func(p *Params) { p.Registry = registry })
	for name, edit := range map[string]func(*Params){
		"metrics of another": func(p *Params) { p.Registry = registry },
		"streams of another": func(p *Params) {
			p.Registry = prometheus.NewRegistry()
			p.Registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "gatehouse_http_streams", Help: "Long-lived requests that are open."}))
		},
	} {
		p := Params{Registry: prometheus.NewRegistry(), Now: time.Now}
		edit(&p)
		if _, err := Chain(p); err == nil {
			t.Errorf("%s: a chain is made", name)
		}
	}
}
