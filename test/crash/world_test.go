package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

const (
	password = "correct horse battery staple"
	people   = 6 // users that change themselves and sign in
	roles    = 2 // relationships that are granted and revoked
)

// world is what the load did and what was acknowledged of it.
type world struct {
	plat  *platform.Platform
	http  *http.Client
	admin string // access token
	users []*user

	mu      sync.Mutex
	acked   map[string][]string // request ids of acknowledged changes, by action
	granted map[int]string      // last acknowledged state of each role: "written", "deleted", or "" when an answer was lost
	answers map[int]int         // changes by the status they were answered with; 0 is none

	every time.Duration // between two changes of a worker; 0 is as fast as they are answered

	sent, lost atomic.Int64
}

// user is one signed-up person; one worker changes it.
type user struct{ id, organization, email, access string }

func newWorld(t *testing.T, plat *platform.Platform) *world {
	t.Helper()
	w := &world{plat: plat, http: &http.Client{Timeout: 15 * time.Second}, acked: map[string][]string{}, granted: map[int]string{}, answers: map[int]int{}}
	secret, err := plat.BootstrapSecret()
	if err != nil {
		t.Fatal(err)
	}
	w.must(t, 201, "/api/v1/auth/bootstrap", map[string]string{"secret": secret, "email": "root@example.com", "password": password})
	w.admin, _ = w.must(t, 200, "/api/v1/auth/sign-in", map[string]string{"email": "root@example.com", "password": password})["access_token"].(string)
	check.Within(t, 10*time.Second, "the administrator's right", func() error {
		status, answer, _, err := w.call(t.Context(), "GET", "/api/v1/users?page_size=1", w.admin, nil)
		if status != 200 {
			return fmt.Errorf("%d %v %w", status, answer, err)
		}
		return nil
	})
	for i := range people {
		w.users = append(w.users, w.signUp(t, fmt.Sprintf("p%d@example.com", i)))
	}
	return w
}

// signUp makes a person with a session.
func (w *world) signUp(t *testing.T, email string) *user {
	t.Helper()
	u := &user{email: email}
	made, _ := w.must(t, 201, "/api/v1/auth/sign-up", map[string]string{"email": email, "password": password, "display_name": "0"})["user"].(map[string]any)
	u.id, _ = made["id"].(string)
	u.organization, _ = made["organization_id"].(string)
	u.access, _ = w.must(t, 200, "/api/v1/auth/sign-in", map[string]string{"email": email, "password": password})["access_token"].(string)
	return u
}

// must posts what has to be answered with the status.
func (w *world) must(t *testing.T, status int, path string, body any) map[string]any {
	t.Helper()
	got, answer, _, err := w.call(t.Context(), "POST", path, "", body)
	if err != nil || got != status {
		t.Fatalf("POST %s: %d %v %v", path, got, answer, err)
	}
	return answer
}

// answered posts what is answered with 200 as soon as the platform, of which programs were killed,
// is back.
func (w *world) answered(t *testing.T, path, token string, body any) (answer map[string]any) {
	t.Helper()
	check.NoError(t, settled(func() (err error) {
		var status int
		if status, answer, _, err = w.call(t.Context(), "POST", path, token, body); err == nil && status != 200 {
			err = fmt.Errorf("POST %s: %d %v", path, status, answer)
		}
		return err
	}))
	return answer
}

// call sends one request. The request id is the gateway's.
func (w *world) call(ctx context.Context, verb, path, token string, body any) (status int, answer map[string]any, requestID string, err error) {
	var raw []byte
	if body != nil {
		if raw, err = json.Marshal(body); err != nil {
			return 0, nil, "", err
		}
	}
	request, err := http.NewRequestWithContext(ctx, verb, w.plat.URL()+path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, "", err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := w.http.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer response.Body.Close()
	raw, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, "", err
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			return 0, nil, "", err
		}
	}
	return response.StatusCode, answer, response.Header.Get("X-Request-Id"), nil
}

// change sends a change and notes whether it was acknowledged.
func (w *world) change(ctx context.Context, action, verb, path, token string, body any) (map[string]any, bool) {
	w.sent.Add(1)
	status, answer, id, err := w.call(ctx, verb, path, token, body)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[status]++
	if err != nil || status >= 300 {
		w.lost.Add(1)
		return nil, false
	}
	w.acked[action] = append(w.acked[action], id)
	return answer, true
}

// load changes things until ctx ends. A request that is under way then is finished, so that its answer is known.
func (w *world) load(ctx context.Context) (done <-chan struct{}) {
	var workers sync.WaitGroup
	calls := context.WithoutCancel(ctx)
	for _, u := range w.users {
		workers.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				if n%10 == 0 {
					if answer, ok := w.change(calls, "auth.signed_in", "POST", "/api/v1/auth/sign-in", "", map[string]string{"email": u.email, "password": password}); ok {
						u.access, _ = answer["access_token"].(string)
					}
				}
				if _, ok := w.change(calls, "user.updated", "PATCH", "/api/v1/users/"+u.id, u.access, map[string]string{"display_name": strconv.Itoa(n)}); !ok {
					pause(ctx, lull)
				}
				pause(ctx, w.every)
			}
		})
	}
	for i := range roles {
		workers.Go(func() {
			role := []any{map[string]string{"object": "platform:gatehouse", "relation": "auditor", "subject": "user:" + w.users[i].id}}
			for n := 0; ctx.Err() == nil; n++ {
				state, body := "written", map[string]any{"writes": role}
				if n%2 == 1 {
					state, body = "deleted", map[string]any{"deletes": role}
				}
				_, ok := w.change(calls, "authz.relationships_written", "POST", "/api/v1/authz/relationships", w.admin, body)
				if !ok {
					state = ""
					pause(ctx, lull)
				}
				w.mu.Lock()
				w.granted[i] = state
				w.mu.Unlock()
				pause(ctx, w.every)
			}
		})
	}
	finished := make(chan struct{})
	go func() { workers.Wait(); close(finished) }()
	return finished
}

// lull keeps a worker from asking a dead platform as fast as it can.
const lull = 50 * time.Millisecond

// pause waits, unless ctx ends first.
func pause(ctx context.Context, span time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(span):
	}
}

func (w *world) summary() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := fmt.Sprintf("%d changes sent, %d without success", w.sent.Load(), w.lost.Load())
	for action, ids := range w.acked {
		text += fmt.Sprintf(", %d %s", len(ids), action)
	}
	return text
}

// quiet is how many looks in a row must find the outboxes empty, a second together: what a build
// that keeps events in memory still has is then written.
const quiet = 20

// drained waits until every outbox is empty and every command is ended (G6), and stays so.
func (w *world) drained(t *testing.T) {
	t.Helper()
	looks := 0
	check.Within(t, time.Minute, "empty outboxes", func() error {
		var left, parked, commands int
		err := w.query(t, `
			with rows as (
				select park_time from identity.outbox union all select park_time from auth.outbox
				union all select park_time from authz.outbox union all select park_time from audit.outbox
			)
			select (select count(*) from rows where park_time is null), (select count(*) from rows where park_time is not null),
				(select count(*) from authz.commands where state = 'accepted')`, &left, &parked, &commands)
		switch {
		case err != nil:
			return err
		case left+commands > 0:
			looks = 0
			return fmt.Errorf("%d rows and %d commands are left", left, commands)
		case parked > 0:
			t.Fatalf("%d rows are parked", parked)
		}
		if looks++; looks < quiet {
			return fmt.Errorf("nothing is left since %d looks", looks)
		}
		return nil
	})
}

func (w *world) query(t *testing.T, sql string, into ...any) error {
	conn, err := w.plat.Database(t.Context())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(t.Context()) }()
	return conn.QueryRow(t.Context(), sql).Scan(into...)
}

func rows[T any](t *testing.T, w *world, sql string, args ...any) []T {
	t.Helper()
	conn, err := w.plat.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	found, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowToStructByPos[T])
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatal(err)
	}
	return all
}
