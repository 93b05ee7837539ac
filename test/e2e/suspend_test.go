package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

// stand is the request that suspends or restores a user.
func stand(by person, id, verb string) request {
	return request{method: "POST", path: "/api/v1/users/" + id + ":" + verb, bearer: by.access}
}

// standingCalls are those of suspensions and returns, for the walk of all routes.
func standingCalls() map[string]routeCall {
	about := func(verb string) routeCall {
		return routeCall{request: func(of person) request { return request{method: "POST", path: of.path() + ":" + verb} }}
	}
	const service = "/gatehouse.identity.v1.UserService/"
	return map[string]routeCall{service + "SuspendUser": about("suspend"), service + "RestoreUser": about("restore")}
}

// refusedByServices waits until each service refuses the token by itself, whoever lets it pass.
func refusedByServices(t *testing.T, p person) {
	t.Helper()
	for name, method := range map[string]string{
		"identity": "/gatehouse.identity.v1.UserService/GetMe", "auth": "/gatehouse.auth.v1.SessionService/ListMySessions",
		"audit": "/gatehouse.audit.v1.AuditService/ListEvents", "authz": "/gatehouse.authz.v1.RelationshipService/ListRelationships",
	} {
		conn, err := grpc.NewClient(serviceOf(t, name).GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		check.NoError(t, err)
		defer conn.Close()
		check.Within(t, 5*time.Second, name+" refuses the token", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+p.access, "x-gatehouse-caller", meshOf(t).SPIFFE("gateway"))
			err := conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
			if status.Code(err) != codes.Unauthenticated {
				return fmt.Errorf("%s: %w", method, errOr(err))
			}
			return nil
		})
	}
}

// R22: who is suspended is out at once: no refresh, no sign-in, no browser session, and within 5 s
// no access token, at the gateway and in every service. The refusal is that of a wrong password
// (R10). Restored, the person signs in again, and the trail says who did both (R66).
func TestSuspension(t *testing.T) {
	admin, p := administrator(t), signUp(t)
	browser := visitor.New(t, nil)
	if page := browser.SignIn(browser.Open(plat.URL()+"/sign-in"), p.email, password); page.Status != http.StatusOK {
		t.Fatalf("%s answers %d", page.At, page.Status)
	}
	account := func() string { return browser.Open(plat.URL() + "/account").At.Path }
	if at := account(); at != "/account" {
		t.Fatalf("signed in, one is at %s", at)
	}
	a := call(t, http.StatusOK, stand(admin, p.id, "suspend"))
	if a.body["state"] != "STATE_SUSPENDED" || a.body["id"] != p.id {
		t.Errorf("suspended: %s", a.raw)
	}
	call(t, http.StatusUnauthorized, request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": p.refresh}})
	if at := account(); at != "/sign-in" {
		t.Errorf("with the browser session of before, one is at %s", at)
	}
	signIn := func(with string) answer {
		a := call(t, http.StatusUnauthorized, request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": p.email, "password": with}})
		delete(a.body, "instance")
		return a
	}
	if right, wrong := signIn(password), signIn("not the right one at all"); fmt.Sprint(right.body) != fmt.Sprint(wrong.body) {
		t.Errorf("the password of a suspended user answers\n%v, a wrong one\n%v", right.body, wrong.body)
	}
	refused(t, "a suspended user's token", func() (answer, error) {
		return send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
	})
	refusedByServices(t, p)
	listed := call(t, http.StatusOK, request{method: "GET", bearer: admin.access,
		path: "/api/v1/users?" + url.Values{"organization_id": {p.organization}, "filter": {"state = STATE_SUSPENDED"}}.Encode()})
	if users, _ := listed.body["users"].([]any); len(users) != 1 {
		t.Errorf("listed: %s", listed.raw)
	}
	call(t, http.StatusOK, stand(admin, p.id, "restore"))
	p = p.signIn(t)
	call(t, http.StatusOK, request{method: "GET", path: p.path(), bearer: p.access})
	for _, action := range []string{"user.suspended", "user.restored"} {
		if e := arrives(t, admin, url.Values{"object_id": {p.id}, "action": {action}}); e.Actor.ID != admin.id || e.ObjectID != p.id {
			t.Errorf("%s is recorded as %+v", action, e)
		}
	}
}

// R52: the routes answer a foreign user like an unknown one, and who may not suspend oneself is
// told.
func TestForeignSuspensions(t *testing.T) {
	one, other := signUp(t), signUp(t)
	for _, verb := range []string{"suspend", "restore"} {
		foreign, missing := call(t, http.StatusNotFound, stand(one, other.id, verb)), call(t, http.StatusNotFound, stand(one, "3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11", verb))
		for _, a := range []answer{foreign, missing} {
			delete(a.body, "instance")
		}
		if fmt.Sprint(foreign.body) != fmt.Sprint(missing.body) {
			t.Errorf("%s: a foreign id answers\n%v, an unknown one\n%v", verb, foreign.body, missing.body)
		}
	}
	check.Within(t, 10*time.Second, "the owner is known, and refused", func() error {
		a, err := send(plat.URL(), stand(one, one.id, "suspend"))
		if err != nil || a.body["reason"] != "SELF_SUSPENSION" {
			return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
		}
		return nil
	})
	call(t, http.StatusOK, request{method: "GET", path: other.path(), bearer: other.access})
}

// R89: two who own the same organizations and suspend each other at the same moment leave one, who
// can restore the other; the other counts again then.
func TestTwoWhoSuspendEachOtherLeaveOne(t *testing.T) {
	admin, one, other := administrator(t), signUp(t), signUp(t)
	if _, err := relate(admin, "writes",
		relationship{"organization:" + one.organization, "owner", "user:" + other.id},
		relationship{"organization:" + other.organization, "owner", "user:" + one.id}); err != nil {
		t.Fatal(err)
	}
	check.Within(t, 10*time.Second, "both are known", func() error {
		for _, p := range []person{one, other} {
			a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/authz/check", bearer: admin.access,
				body: relationship{"organization:" + p.organization, "owner", "user:" + p.id}})
			if err != nil || a.body["allowed"] != true {
				return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
			}
		}
		return nil
	})
	for round := range 5 {
		both := []person{one, other}
		answers := make([]answer, 2)
		var wait sync.WaitGroup
		for i, by := range both {
			wait.Go(func() {
				var err error
				if answers[i], err = send(plat.URL(), stand(by, both[1-i].id, "suspend")); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		stays := 0
		if answers[1].status == http.StatusOK {
			stays = 1
		}
		if answers[stays].status != http.StatusOK || answers[1-stays].status == http.StatusOK {
			t.Fatalf("round %d: %s and %s, want one of them refused", round, answers[0].raw, answers[1].raw)
		}
		if refusal := answers[1-stays]; refusal.status == http.StatusBadRequest && refusal.body["reason"] != "LAST_OWNER" {
			t.Errorf("round %d: refused by %s", round, refusal.raw)
		}
		call(t, http.StatusOK, stand(both[stays], both[1-stays].id, "restore"))
		both[1-stays] = both[1-stays].signIn(t)
		one, other = both[0], both[1]
	}
}

// A suspension that is cut between its steps is completed: sessions and sign-ins go.
func TestSuspensionSurvivesACrashInBetween(t *testing.T) {
	for _, frost := range []string{"auth", "authz"} {
		t.Run(frost, func(t *testing.T) {
			admin, p := administrator(t), signUp(t)
			identities := database(t, "identity")
			call(t, http.StatusOK, stand(admin, p.id, "suspend"))
			call(t, http.StatusOK, stand(admin, p.id, "restore"))
			p = p.signIn(t)
			thaw := frozen(t, frost)
			defer thaw()
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_, _ = send(plat.URL(), stand(admin, p.id, "suspend"))
			}()
			if frost == "auth" { // after Authz was asked; while it hangs nothing has begun
				check.Within(t, 10*time.Second, "the suspension has begun", func() error {
					var standing string
					return identities.QueryRow(t.Context(), "select standing from identity.users where id = $1 and standing = 'suspended'", p.id).Scan(&standing)
				})
			}
			if err := syscall.Kill(serviceOf(t, "identity").PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Fatal(err)
			}
			<-gone
			thaw()
			check.Within(t, 60*time.Second, "healed", func() error { return healed(t) })
			if frost == "authz" {
				call(t, http.StatusOK, request{method: "GET", path: p.path(), bearer: p.access})
				return
			}
			check.Within(t, 60*time.Second, "the sessions and the sign-in are gone", func() error {
				a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": p.email, "password": password}})
				if err != nil || a.status != http.StatusUnauthorized {
					return fmt.Errorf("%d %w", a.status, errOr(err))
				}
				var left int
				if err := identities.QueryRow(t.Context(), "select count(*) from identity.standings where user_id = $1", p.id).Scan(&left); err != nil || left > 0 {
					return fmt.Errorf("%d standings are open, %w", left, errOr(err))
				}
				return nil
			})
			refused(t, "the suspended user's token", func() (answer, error) {
				return send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
			})
			call(t, http.StatusOK, stand(administrator(t), p.id, "restore"))
			p.signIn(t)
		})
	}
}

// healed reports whether the platform answers again, some times in a row: while a program is
// started anew, sidecars still try the one that is gone.
func healed(t *testing.T) error {
	for range 10 {
		if err := roundTrip(t); err != nil {
			return err
		}
	}
	return nil
}
