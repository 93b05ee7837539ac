package cluster_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const (
	perSecond = 32 // requests
	mostOpen  = 256
	readers   = 4
	writers   = 13 // each has one write under way at most, so that what it should read is known
	password  = "correct horse battery staple"
	patience  = 20 * time.Second // for one response
)

// Kinds of requests of the load. Of sixteen one is a sign-in, four are writes.
const (
	signIn = "POST sign-in"
	rename = "PATCH user"
	me     = "GET me"
	user   = "GET user"
	trail  = "GET trail"
)

// Of 17 people each sends each of these 16 in turn.
var mix = []string{signIn, rename, me, user, me, rename, user, trail, me, rename, user, me, trail, rename, user, me}

// person is a user of the platform.
type person struct {
	email, id string
	access    atomic.Pointer[string]
	writes    []write // of a writer, in their order
}

// failure is a request of the load that was not answered with 200.
type failure struct {
	at     time.Time
	took   time.Duration
	kind   string
	status int // 0: no answer
	body   string
}

func (f failure) String() string {
	return fmt.Sprintf("%s %s: %d after %s: %s", f.at.Format("15:04:05.000"), f.kind, f.status, f.took.Round(time.Millisecond), f.body)
}

// load sends so many requests a second as perSecond says, however long the answers take.
type load struct {
	client *http.Client
	url    string
	people []*person
	idle   chan *person // writers without a write under way
	begun  time.Time

	mu       sync.Mutex
	took     []time.Duration
	kinds    map[string]int
	failures []failure

	end  context.CancelFunc
	done chan struct{}
}

// door is a client of the site's public door, which trusts its CA only.
func (c *cluster) door(t *testing.T) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(c.value("CURL_CA_BUNDLE"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Client{Timeout: patience, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}, ForceAttemptHTTP2: true,
	}}
}

// visit is a load that sends nothing by itself.
func (c *cluster) visit(t *testing.T) *load {
	t.Helper()
	return &load{client: c.door(t), url: c.value("GATEHOUSE_URL"), idle: make(chan *person, writers), kinds: map[string]int{}, done: make(chan struct{})}
}

// signUp makes a person, who is signed in.
func (l *load) signUp(t *testing.T) *person {
	t.Helper()
	p := &person{email: strings.ToLower(rand.Text()) + "@example.com"}
	p.id = field(l.must(t, http.MethodPost, "/api/v1/auth/sign-up", "", `{"email": %q, "password": %q, "display_name": "none"}`, p.email, password), "id")
	p.signedIn(l.must(t, http.MethodPost, "/api/v1/auth/sign-in", "", `{"email": %q, "password": %q}`, p.email, password))
	return p
}

// load begins a load without the kinds that are named. Its people sign up first.
func (c *cluster) load(t *testing.T, without ...string) *load {
	t.Helper()
	l := c.visit(t)
	for i := range readers + writers {
		p := l.signUp(t)
		l.people = append(l.people, p)
		if i >= readers {
			l.idle <- p
		}
	}
	ctx, end := context.WithCancel(context.Background())
	l.end, l.begun = end, time.Now()
	kinds := slices.DeleteFunc(slices.Clone(mix), func(kind string) bool { return slices.Contains(without, kind) })
	go l.run(ctx, kinds)
	t.Cleanup(l.stop)
	return l
}

func (l *load) run(ctx context.Context, kinds []string) {
	defer close(l.done)
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	var open sync.WaitGroup
	defer open.Wait()
	places := make(chan struct{}, mostOpen)
	for sent := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for due := int(time.Since(l.begun).Seconds() * perSecond); sent < due; sent++ {
			kind, p := kinds[sent%len(kinds)], l.people[sent%len(l.people)]
			select {
			case places <- struct{}{}:
				open.Go(func() {
					l.one(kind, p)
					<-places
				})
			default:
				l.count(kind, time.Now(), 0, fmt.Sprintf("%d requests are open already", mostOpen))
			}
		}
	}
}

// one sends one request.
func (l *load) one(kind string, p *person) {
	if kind == rename {
		select {
		case p = <-l.idle:
		default:
			kind = me // every writer waits for an answer: somebody reads instead
		}
	}
	begun := time.Now()
	var status int
	var body string
	switch access := *p.access.Load(); kind {
	case signIn:
		if status, body = l.ask(http.MethodPost, "/api/v1/auth/sign-in", "", fmt.Sprintf(`{"email": %q, "password": %q}`, p.email, password)); status == http.StatusOK {
			p.signedIn(body)
		}
	case rename:
		var w write
		w, status, body = p.rename(l)
		p.writes = append(p.writes, w)
		l.idle <- p
	case me:
		status, body = l.ask(http.MethodGet, "/api/v1/me", access, "")
	case user:
		status, body = l.ask(http.MethodGet, "/api/v1/users/"+p.id, access, "")
	case trail:
		status, body = l.ask(http.MethodGet, "/api/v1/audit/events?page_size=5&actor_id="+p.id, access, "")
	}
	l.count(kind, begun, status, body)
}

func (l *load) count(kind string, begun time.Time, status int, body string) {
	took := time.Since(begun)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kinds[kind]++
	l.took = append(l.took, took)
	if status != http.StatusOK {
		l.failures = append(l.failures, failure{begun, took, kind, status, body})
	}
}

// ask returns the status and the body of an answer, or 0 and why there is none.
func (l *load) ask(method, path, access, body string) (int, string) {
	status, text, _ := l.send(method, path, access, body)
	return status, text
}

// send is ask, and returns the header too.
func (l *load) send(method, path, access, body string) (int, string, http.Header) {
	req, err := http.NewRequest(method, l.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error(), nil
	}
	if body == "" {
		req.Body, req.ContentLength = http.NoBody, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	if access != "" {
		req.Header.Set("Authorization", "Bearer "+access)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Sprintf("%d, then %v", resp.StatusCode, err), nil
	}
	return resp.StatusCode, string(raw), resp.Header
}

// must asks, and wants 200 or 201.
func (l *load) must(t *testing.T, method, path, access, format string, args ...any) string {
	t.Helper()
	status, body := l.ask(method, path, access, fmt.Sprintf(format, args...))
	if status != http.StatusOK && status != http.StatusCreated {
		t.Fatalf("%s %s: %d %s", method, path, status, body)
	}
	return body
}

func (p *person) signedIn(body string) {
	access := field(body, "access_token")
	p.access.Store(&access)
}

// field finds a string in a JSON document, at the top or in the first object that has it.
func field(body, name string) string {
	var document map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &document) != nil {
		return ""
	}
	var text string
	if json.Unmarshal(document[name], &text) == nil && text != "" {
		return text
	}
	for _, raw := range document {
		if text = field(string(raw), name); text != "" {
			return text
		}
	}
	return ""
}

// more waits until so many further requests have been answered.
func (l *load) more(t *testing.T, requests int) {
	t.Helper()
	l.mu.Lock()
	want := len(l.took) + requests
	l.mu.Unlock()
	check.Within(t, 2*time.Minute, "the load goes on", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.took) < want {
			return fmt.Errorf("%d of %d requests", len(l.took), want)
		}
		return nil
	})
}

// stop ends the load once all that is under way is answered.
func (l *load) stop() {
	l.end()
	<-l.done
}

// sent is how many requests have been answered.
func (l *load) sent() int { return len(l.since(0)) }

// since is how long the answers to all requests after the first so many took.
func (l *load) since(from int) []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.took[from:])
}

// quantile is the duration within which such a part of the requests was answered.
func quantile(took []time.Duration, part float64) time.Duration {
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[min(len(took)-1, int(float64(len(took))*part))]
}

func (l *load) String() string {
	l.mu.Lock()
	failed, kinds, seconds := len(l.failures), fmt.Sprint(l.kinds), time.Since(l.begun).Seconds()
	l.mu.Unlock()
	took := l.since(0)
	return fmt.Sprintf("%d requests in %.0f s (%.1f a second), %d failed; p50 %s, p99 %s, longest %s; %s", len(took), seconds, float64(len(took))/seconds, failed,
		quantile(took, 0.5).Round(time.Millisecond), quantile(took, 0.99).Round(time.Millisecond), quantile(took, 1).Round(time.Millisecond), kinds)
}
