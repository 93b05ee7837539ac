package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// watched is a message of a stream of users.
type watched struct {
	User    *struct{ ID, Email string }
	Deleted *struct{ ID string }
	Cursor  string
	Error   json.RawMessage
}

// watch opens a stream of users and returns how to read its next message that is not a sign of
// life.
func watch(t *testing.T, bearer, query string) (next func() watched) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, plat.URL()+"/api/v1/users:watch?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	if a.StatusCode != http.StatusOK {
		t.Fatalf("the stream answers %d", a.StatusCode)
	}
	lines := bufio.NewScanner(a.Body)
	return func() watched {
		t.Helper()
		for lines.Scan() {
			var m watched
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.Error != nil || m.Cursor == "" {
				t.Fatalf("the stream says %q: %v", lines.Text(), err)
			}
			if m.User != nil || m.Deleted != nil {
				return m
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return watched{}
	}
}

// Through the door, the sidecars and back: an import is told to who watches, what was told is not
// told again, a deletion is.
func TestUsersAreImportedAndWatched(t *testing.T) {
	t.Parallel()
	p := signUp(t)
	query := "organization_id=" + p.organization
	check.Eventually(t, "the rights of the new user have arrived", func() bool {
		a, err := send(plat.URL(), request{method: "GET", path: "/api/v1/users?" + query, bearer: p.access})
		return err == nil && a.status == http.StatusOK
	})
	next := watch(t, p.access, query)
	if m := next(); m.User == nil || m.User.ID != p.id {
		t.Fatalf("the first is %+v", m)
	}
	var table strings.Builder
	table.WriteString("email,display_name\n")
	for n := range 250 {
		fmt.Fprintf(&table, "u%d@example.com,U\n", n)
	}
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte(table.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, want := range []string{"250 of 250 users: 250 created", "250 of 250 users: 0 created, 250 there before"} {
		out, err := plat.CLI(ctx, "users", "import", file, "--organization", p.organization, "--url", plat.URL(), "--token", p.access)
		if err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("gatehouse users import: %v\n%s", err, out)
		}
	}
	told := map[string]bool{}
	var cursor string
	for len(told) < 250 {
		m := next()
		if m.User == nil || told[m.User.ID] {
			t.Fatalf("told %+v after %d users", m, len(told))
		}
		told[m.User.ID], cursor = true, m.Cursor
	}
	resumed := watch(t, p.access, query+"&cursor="+cursor)
	p.rename(t, "Eva")
	for name, next := range map[string]func() watched{"the stream": next, "the resumed one": resumed} {
		if m := next(); m.User == nil || m.User.ID != p.id {
			t.Errorf("%s goes on with %+v", name, m)
		}
	}
}
