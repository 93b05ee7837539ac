package crash_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// Each program in turn is killed, and stopped in order, while people change things and others
// follow what they change: every stream goes on where it was, nobody is told INTERNAL, and what ends
// a stream does so still.
func TestStreamsResumeExactly(t *testing.T) {
	plat := start(t, "")
	w := newWorld(t, plat)
	w.every = 40 * time.Millisecond
	auditor, leaver := w.users[people-1], w.signUp(t, "leaver@example.com")
	role := []any{map[string]string{"object": "platform:gatehouse", "relation": "auditor", "subject": "user:" + auditor.id}}
	if _, ok := w.change(t.Context(), "authz.relationships_written", "POST", "/api/v1/authz/relationships", w.admin, map[string]any{"writes": role}); !ok {
		t.Fatal("there is no auditor")
	}
	w.drained(t)
	began := w.lastPosition(t)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	all := w.followers(ctx, auditor.access, leaver)
	goOn(t, all, "the beginning")
	begun := w.lastPosition(t)
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	done, guests := w.load(loaded), w.guests(loaded, leaver)
	w.sendTrailers(t)
	goOn(t, all, "trailers of a peer")
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		for _, name := range []string{"identity", "auth", "authz", "audit", "gateway"} {
			kill(t, plat, signal, name)
			w.passing(t, name)
			goOn(t, all, fmt.Sprintf("%s of %s", signal, name))
		}
	}
	w.ends(t, all["the auditor's trail"], "403 PERMISSION_DENIED", func() bool {
		_, ok := w.change(t.Context(), "authz.relationships_written", "POST", "/api/v1/authz/relationships", w.admin, map[string]any{"deletes": role})
		return ok
	})
	w.ends(t, all["the trail of who leaves"], "401 TOKEN_REVOKED", func() bool {
		_, ok := w.change(t.Context(), "auth.signed_out", "POST", "/api/v1/auth/sign-out", leaver.access, nil)
		return ok
	})
	stop()
	<-done
	<-guests
	w.drained(t)
	w.exactly(t, all, began, begun, leaver)
	t.Logf("%s, answered %v", w.summary(), w.answers)
	if len(w.acked["user.deleted"]) == 0 {
		t.Error("nobody was deleted")
	}
	if w.answers[http.StatusInternalServerError] > 0 {
		t.Errorf("changes were answered %v", w.answers)
	}
	for _, wrong := range w.audit(t) {
		t.Error(wrong)
	}
}

// followers begin to follow everything that can be resumed, in both forms.
func (w *world) followers(ctx context.Context, auditor string, leaver *user) map[string]*follower {
	const trail, users = "/api/v1/audit/events:tail?", "/api/v1/users:watch?"
	all := map[string]*follower{}
	follow := func(name, path, token string, records bool) {
		f := &follower{name: name, base: w.plat.URL(), path: path, token: token, records: records, broke: map[string]int{}, done: make(chan struct{})}
		all[name] = f
		go f.follow(ctx)
	}
	for form, records := range map[string]bool{"": false, " as records": true} {
		follow("the trail"+form, trail, w.admin, records)
		follow("all users"+form, users, w.admin, records)
	}
	one := w.users[0]
	follow("one's own trail", trail+"actor_id="+one.id, one.access, false)
	follow("one's own organization", users+"organization_id="+one.organization, one.access, false)
	follow("the auditor's trail", trail, auditor, false)
	follow("the trail of who leaves", trail+"actor_id="+leaver.id, leaver.access, true)
	return all
}

// goOn waits until every follower has heard something more.
func goOn(t *testing.T, all map[string]*follower, after string) {
	t.Helper()
	before := map[string]int{}
	for name, f := range all {
		before[name], _, _, _ = f.state()
	}
	check.Within(t, 30*time.Second, "every stream goes on after "+after, func() error {
		for name, f := range all {
			if over, err := f.over(); over {
				t.Fatalf("%s ended after %s: %v", name, after, err)
			}
			if heard, _, _, broke := f.state(); heard == before[name] {
				return fmt.Errorf("%s says nothing, and was broken by %v", name, broke)
			}
		}
		return nil
	})
}

// passing waits until Consul knows that a program is back.
func (w *world) passing(t *testing.T, name string) {
	t.Helper()
	check.Within(t, 30*time.Second, name+" passes its checks", func() error {
		s, err := w.plat.Service(name)
		if err == nil && s.Health != api.HealthPassing {
			err = fmt.Errorf("it is %s", s.Health)
		}
		return err
	})
}

// sendTrailers sends, as the gateway, requests that end with trailers on the way of the followers'
// streams.
func (w *world) sendTrailers(t *testing.T) {
	t.Helper()
	gateway, err := w.plat.Service("gateway")
	check.NoError(t, err)
	for name, method := range map[string]string{
		"identity": "/gatehouse.identity.v1.UserService/GetMe", "audit": "/gatehouse.audit.v1.AuditService/ListEvents",
	} {
		const unauthenticated = "16"
		if got, err := grpctest.WithTrailers(t.Context(), gateway.Upstreams[name], method); err != nil || got != unauthenticated {
			t.Errorf("%s answers a request with trailers with %q, %v", name, got, err)
		}
	}
}

// ends does what must end a follower soon: a right is asked about 3 s after it changed, a token is
// revoked at once.
func (w *world) ends(t *testing.T, f *follower, want string, do func() bool) {
	t.Helper()
	if !do() {
		t.Fatalf("what ends %s was refused", f.name)
	}
	select {
	case <-f.done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s goes on", f.name)
	}
	if _, err := f.over(); err == nil || err.Error() != want {
		t.Errorf("%s ends with %v, want %s", f.name, err, want)
	}
}

// guests makes users without a login, and deletes some of them, until ctx ends; who leaves is
// changed meanwhile.
func (w *world) guests(ctx context.Context, leaver *user) (done <-chan struct{}) {
	finished, calls := make(chan struct{}), context.WithoutCancel(ctx)
	go func() {
		defer close(finished)
		var made []string
		for n := 0; ctx.Err() == nil; n++ {
			guest := map[string]string{"organization_id": w.users[n%2].organization, "email": fmt.Sprintf("guest%d@example.com", n), "display_name": "0"}
			if answer, ok := w.change(calls, "user.created", "POST", "/api/v1/users", w.admin, guest); ok {
				id, _ := answer["id"].(string)
				made = append(made, id)
			}
			if len(made) > 10 {
				w.change(calls, "user.deleted", "DELETE", "/api/v1/users/"+made[0], w.admin, nil)
				made = made[1:]
			}
			w.change(calls, "user.updated", "PATCH", "/api/v1/users/"+leaver.id, leaver.access, map[string]string{"display_name": strconv.Itoa(n + 1)})
			pause(ctx, 4*w.every)
		}
	}()
	return finished
}

func (w *world) lastPosition(t *testing.T) (position int64) {
	t.Helper()
	check.NoError(t, w.query(t, "select coalesce(max(position), -1) from audit.events", &position))
	return position
}
