package cli_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// R69: every leaf is compared with what was signed, and the place of what was changed is named; a
// stream that breaks is taken up again.
func TestAuditVerifyNamesThePlace(t *testing.T) {
	key := auditlogtest.LogKey(t, logOrigin)
	edit := func(leaf map[string]any) {
		leaf["canonical"] = bytes.Replace(leaf["canonical"].([]byte), []byte("success"), []byte("failure"), 1)
	}
	at := func(index int64, do func(map[string]any)) func(int64, map[string]any) {
		return func(i int64, leaf map[string]any) {
			if i == index {
				do(leaf)
			}
		}
	}
	gone := func(leaf map[string]any) { delete(leaf, "canonical") }
	removed := func(leaf map[string]any) { delete(leaf, "canonical"); leaf["removed"] = true }
	lost := func(leaf map[string]any) { delete(leaf, "canonical"); leaf["lost"] = true }
	for name, c := range map[string]struct {
		changed func(int64, map[string]any)
		args    []string
		code    int
		want    string
	}{
		"good":              {nil, nil, 0, "good: all 12 events are as they were signed\n"},
		"an edit":           {at(4, edit), nil, 1, "leaf 4 (position 5): event 0192f0c1-2f6e-7c3a-9d55-000000000004: its bytes are not those that the tree was made of\n"},
		"an edit, quickly":  {at(4, edit), []string{"--quick"}, 0, "only grew since\n"},
		"an edit, late":     {at(10, edit), nil, 1, "somewhere from leaf 10 to leaf 10 the hashes"},
		"a deletion":        {at(4, gone), nil, 1, "leaf 4 (position 5): its event is gone, and retention did not remove it"},
		"removed":           {at(4, removed), nil, 0, "all 12 events are as they were signed; of 1 of them retention has left the hash only\n"},
		"lost, not told of": {at(4, lost), nil, 1, "leaf 4 (position 5): its event is gone, and no event audit.log_reopened of this log says"},
		"a leaf is missing": {at(4, func(leaf map[string]any) { clear(leaf) }), nil, 1, "leaf 4 (position 5): it is missing"},
		"cut": {func(i int64, leaf map[string]any) {
			if i > 8 {
				clear(leaf)
			}
		}, nil, 1, "leaf 9 (position 10): the log ends here, and a checkpoint of 12 leaves was signed"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newProvingGateway(t, key, 12, "updated")
			g.changed, g.breaks = c.changed, 2
			file := filepath.Join(t.TempDir(), "kept")
			before := g.log.Checkpoint(t, 7, key)
			check.NoError(t, os.WriteFile(file, before, 0o600))
			code, out, problem := run(t, g.start(t), append([]string{"audit", "verify", "--key", key.Text, "--checkpoint", file}, c.args...)...)
			if code != c.code || !strings.Contains(out, c.want) || problem != "" || (code == 1) != strings.Contains(out, "TAMPERED: the log: it is not as it was signed") {
				t.Errorf("%d\n%s%s, want %d with %q", code, out, problem, c.code, c.want)
			}
			text, err := os.ReadFile(file)
			if err != nil || bytes.Equal(text, before) != (c.code == 1) {
				t.Errorf("what is kept after %d: %s, %v", code, text, err)
			}
		})
	}
}

// What was lost when the log was reopened is counted, as far as its event says so.
func TestAuditVerifyCountsWhatIsLost(t *testing.T) {
	const origin = "example.com/audit/2"
	key := auditlogtest.LogKey(t, origin)
	for positions, want := range map[string]string{`["5-5"]`: "good: all 12 events are as they were signed\nlost: 1 event was gone when the log was reopened", `["6-6"]`: "leaf 4 (position 5): "} {
		g := newProvingGateway(t, key, 12, "updated")
		e := event.Event{
			ID: "0192f0c1-2f6e-7c3a-9d55-00000000000c", Time: time.Unix(12, 0), Source: "audit", Action: "audit.log_reopened", Outcome: event.Success,
			Actor: event.Actor{Type: event.Service, ID: "gateway"}, ObjectType: "audit_log", ObjectID: origin,
			Changes: []event.Change{{Field: "lost_positions", Value: []byte(positions)}},
		}
		sealed, err := e.Seal(rand.Reader)
		check.NoError(t, err)
		g.sealed, g.size = append(g.sealed, sealed), 13
		g.log.Add(t, sealed.Canonical)
		g.changed = func(i int64, leaf map[string]any) {
			if i == 4 {
				delete(leaf, "canonical")
				leaf["lost"] = true
			}
		}
		code, out, problem := run(t, g.start(t), "audit", "verify", "--key", key.Text)
		if (code == 0) != strings.HasPrefix(want, "good") || !strings.Contains(out, want) || problem != "" {
			t.Errorf("%d\n%s%s, want %q", code, out, problem, want)
		}
	}
}

// What cannot be read is not verified, and not called tampered.
func TestAuditVerifyOfALogThatCannotBeRead(t *testing.T) {
	key := auditlogtest.LogKey(t, logOrigin)
	g := newProvingGateway(t, key, 12, "updated")
	for answer, want := range map[string]string{
		`{"status":403,"reason":"PERMISSION_DENIED","title":"no"}`: "PERMISSION_DENIED", `no JSON`: "read the stream of /api/v1/audit/log:read",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/audit/log:read" {
				g.serve(t, w, r)
				return
			}
			if strings.HasPrefix(answer, "{") {
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = fmt.Fprint(w, answer)
		}))
		t.Cleanup(server.Close)
		code, out, problem := run(t, []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + server.URL}, "audit", "verify", "--key", key.Text)
		if code != 2 || strings.Contains(out, "TAMPERED") || !strings.Contains(problem, want) {
			t.Errorf("%d\n%s%s, want %q", code, out, problem, want)
		}
	}
}
