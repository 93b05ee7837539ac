package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// administrates is the relationship of an administrator.
func administrates(p person) relationship {
	return relationship{"platform:gatehouse", "administrator", "user:" + p.id}
}

// keeps expects the reason of a refusal that changes nothing.
func keeps(t testing.TB, reason string, r request) {
	t.Helper()
	if a := call(t, http.StatusBadRequest, r); a.body["reason"] != reason {
		t.Errorf("%s %s: %s, want %s", r.method, r.path, a.raw, reason)
	}
}

func unrelate(by person, all ...relationship) request {
	return request{method: "POST", path: "/api/v1/authz/relationships", bearer: by.access, body: map[string]any{"deletes": all}}
}

// R89: the last administrator cannot go, by the relationship, by a group or by the user's deletion,
// and two who leave at once leave one.
func TestTheLastAdministratorStays(t *testing.T) {
	admin, other := administrator(t), signUp(t)
	keeps(t, "LAST_ADMINISTRATOR", unrelate(admin, administrates(admin)))
	keeps(t, "LAST_ADMINISTRATOR", request{method: "DELETE", path: admin.path(), bearer: admin.access})
	call(t, http.StatusOK, request{method: "GET", path: admin.path(), bearer: admin.access}) // the deletion has not begun

	group := "group:administrators-" + other.id
	through := relationship{group, "member", "user:" + other.id}
	if _, err := relate(admin, "writes", through, relationship{"platform:gatehouse", "administrator", group + "#member"}); err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		leave := []request{unrelate(admin, administrates(admin)), unrelate(other, through)}
		answers := make([]answer, len(leave))
		var both sync.WaitGroup
		for i, r := range leave {
			both.Go(func() {
				var err error
				if answers[i], err = send(plat.URL(), r); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		stays, back := other, administrates(admin)
		if answers[1].status == http.StatusOK {
			stays, back = admin, through
		}
		if answers[0].status+answers[1].status != http.StatusOK+http.StatusBadRequest {
			t.Fatalf("round %d: %s and %s, want one of them refused", round, answers[0].raw, answers[1].raw)
		}
		if _, err := relate(stays, "writes", back); err != nil {
			t.Fatalf("round %d: who stays is not an administrator: %v", round, err)
		}
	}
	if _, err := relate(admin, "deletes", relationship{"platform:gatehouse", "administrator", group + "#member"}); err != nil {
		t.Fatal(err)
	}
}

// R89: an organization keeps an owner; a personal one goes with its last user.
func TestTheLastOwnerStays(t *testing.T) {
	t.Parallel()
	admin, p := administrator(t), signUp(t)
	owner := relationship{"organization:" + p.organization, "owner", "user:" + p.id}
	check.Within(t, 10*time.Second, "the owner is known", func() error {
		a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/authz/check", bearer: admin.access, body: owner})
		if err != nil || a.body["allowed"] != true {
			return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
		}
		return nil
	})
	keeps(t, "LAST_OWNER", unrelate(admin, owner))
	a := call(t, http.StatusCreated, request{method: "POST", path: "/api/v1/users", bearer: p.access,
		body: map[string]string{"organization_id": p.organization, "email": newEmail(), "display_name": "Guest"}})
	guest, _ := a.body["id"].(string)
	keeps(t, "LAST_OWNER", request{method: "DELETE", path: p.path(), bearer: p.access})
	call(t, http.StatusNoContent, request{method: "DELETE", path: "/api/v1/users/" + guest, bearer: p.access,
		header: map[string]string{tokenHeader: a.header.Get(tokenHeader)}})
	call(t, http.StatusNoContent, request{method: "DELETE", path: p.path(), bearer: p.access})
}

// R89: who operates the machine gets an administrator back with the database's URL alone, once for
// each secret, and the trail says so.
func TestRecoveryOfThePlatform(t *testing.T) {
	t.Parallel()
	auth := exec.CommandContext(t.Context(), filepath.Join(plat.Bin, "auth"), "recover")
	auth.Env = []string{"GATEHOUSE_POSTGRES_URL=" + databaseURL(t, "auth")}
	auth.Stderr = os.Stderr
	out, err := auth.Output()
	secret := strings.TrimSpace(string(out))
	if err != nil || len(secret) != 43 {
		t.Fatalf("auth recover prints %d bytes, %v", len(out), err)
	}
	exchange := func(want int, email string) answer {
		return call(t, want, request{method: "POST", path: "/api/v1/auth/bootstrap",
			body: map[string]string{"secret": secret, "email": email, "password": password}})
	}
	root := person{email: newEmail()}
	a := exchange(http.StatusCreated, root.email)
	user, _ := a.body["user"].(map[string]any)
	root.id, _ = user["id"].(string)
	root = root.signIn(t)
	call(t, http.StatusOK, request{method: "GET", path: "/api/v1/users?page_size=1", bearer: root.access,
		header: map[string]string{tokenHeader: a.header.Get(tokenHeader)}})
	exchange(http.StatusUnauthorized, newEmail())
	if e := arrives(t, root, url.Values{"action": {"auth.recovery_made"}}); e.Actor.ID != "auth" || e.ObjectType != "platform" {
		t.Errorf("the recovery is recorded as %+v", e)
	}
	if e := arrives(t, root, url.Values{"action": {"auth.recovered"}}); e.ObjectID != root.id {
		t.Errorf("its use is recorded as %+v", e)
	}
	if _, err := relate(root, "deletes", administrates(root)); err != nil { // others are there
		t.Error(err)
	}
}
