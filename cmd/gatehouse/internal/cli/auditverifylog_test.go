package cli_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// provingGateway answers like a gateway whose Audit has a log of events, as far as proofs go.
type provingGateway struct {
	log     *auditlogtest.Log
	sealed  []event.Sealed
	size    int64 // of the newest checkpoint
	breaks  int   // how often a read of the log breaks after a message
	changed func(index int64, leaf map[string]any)
	key     auditlogtest.Key
	witness *auditlogtest.Key
	waits   int // how often an event that is not covered yet is asked for before there is a newer checkpoint
}

func newProvingGateway(t *testing.T, key auditlogtest.Key, events int, kind string) *provingGateway {
	t.Helper()
	g := &provingGateway{log: &auditlogtest.Log{}, key: key, size: int64(events)}
	for i := range events {
		e := event.Event{
			ID: fmt.Sprintf("0192f0c1-2f6e-7c3a-9d55-%012x", i), Time: time.Unix(int64(i), 0), Source: "identity", Action: "user." + kind, Outcome: event.Success,
			Actor: event.Actor{Type: event.Service, ID: "gateway"}, ClientAddress: "203.0.113.7",
		}
		s, err := e.Seal(rand.Reader)
		check.NoError(t, err)
		g.sealed = append(g.sealed, s)
		g.log.Add(t, s.Canonical)
	}
	return g
}

// start returns the environment of a command that asks it.
func (g *provingGateway) start(t *testing.T) []string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(t, w, r) }))
	t.Cleanup(server.Close)
	return []string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=" + server.URL}
}

func (g *provingGateway) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return n
	}
	var answer any
	switch path := r.URL.Path; {
	case path == "/api/v1/audit/checkpoint":
		note := g.log.Checkpoint(t, g.size, g.key)
		if g.witness != nil {
			signed, err := auditlogtest.Keys(t, []string{g.key.Text}, nil).Open(note)
			check.NoError(t, err)
			note, _, err = signed.Cosign(g.witness)
			check.NoError(t, err)
		}
		answer = map[string]any{"checkpoint": string(note), "verifier_keys": []string{g.key.Text}}
	case path == "/api/v1/audit/consistency":
		answer = map[string]any{"hashes": bytesOf(g.log.Consistency(t, number("first_size"), number("second_size")))}
	case path == "/api/v1/audit/log:read":
		g.read(t, w, number("start"), number("size"))
		return
	case path == "/api/v1/audit/events":
		var events []any
		for i := len(g.sealed) - 1; i >= 0; i-- {
			e, err := g.sealed[i].Open()
			check.NoError(t, err)
			events = append(events, map[string]any{"id": e.ID, "time": e.Time, "count": "1"})
		}
		answer = map[string]any{"events": events}
	default:
		id := strings.TrimSuffix(strings.TrimPrefix(path, "/api/v1/audit/events/"), "/proof")
		index, err := strconv.ParseInt(id[len(id)-12:], 16, 64)
		check.NoError(t, err)
		if index >= number("tree_size") {
			if g.waits--; g.waits <= 0 {
				g.size = g.log.Size()
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"status":400,"reason":"EVENT_NOT_COVERED"}`))
			return
		}
		s := g.sealed[index]
		answer = map[string]any{
			"leaf_index": id[len(id)-1:], "canonical": s.Canonical, "hashes": bytesOf(g.log.Inclusion(t, index, number("tree_size"))), "personal": s.Personal,
		}
	}
	check.NoError(t, json.NewEncoder(w).Encode(answer))
}

// read sends the leaves, 5 a message, with a hash beside each, but for the last ones.
func (g *provingGateway) read(t *testing.T, w http.ResponseWriter, start, size int64) {
	t.Helper()
	say := json.NewEncoder(w)
	notes := []string{"no note"}
	for n := max(0, size-3); n <= size; n++ {
		notes = append(notes, string(g.log.Checkpoint(t, n, g.key)))
	}
	check.NoError(t, say.Encode(map[string]any{"checkpoints": notes}))
	for start < size {
		var leaves []any
		for end := min(size, start+5); start < end; start++ {
			hash := auditlog.LeafHash(g.sealed[start].Canonical)
			leaf := map[string]any{"index": strconv.FormatInt(start, 10), "canonical": g.sealed[start].Canonical, "hash": hash[:]}
			if start >= size-3 {
				delete(leaf, "hash")
			}
			if g.changed != nil {
				g.changed(start, leaf)
			}
			if len(leaf) > 0 {
				leaves = append(leaves, leaf)
			}
		}
		check.NoError(t, say.Encode(map[string]any{"leaves": leaves}))
		if g.breaks--; g.breaks >= 0 {
			return
		}
	}
	check.NoError(t, say.Encode(map[string]any{"end": true}))
}

func bytesOf(hashes []auditlog.Hash) [][]byte {
	all := [][]byte{}
	for _, h := range hashes {
		all = append(all, h[:])
	}
	return all
}

// G7: what a kept checkpoint shows of the log that it is compared with.
func TestAuditVerifyLog(t *testing.T) {
	key, witness := auditlogtest.LogKey(t, logOrigin), auditlogtest.WitnessKey(t, "example.org/w")
	honest, forged := newProvingGateway(t, key, 12, "updated"), newProvingGateway(t, key, 12, "deleted")
	other := newProvingGateway(t, auditlogtest.LogKey(t, "example.com/audit/2"), 12, "updated")
	for name, c := range map[string]struct {
		kept, now *provingGateway
		from, to  int64
		witness   bool
		code      int
		want      string
	}{
		"grown":                 {honest, honest, 5, 12, false, 0, "good: the log begins with the checkpoint of size 5 that was kept, and only grew since\n"},
		"grown from nothing":    {honest, honest, 0, 12, false, 0, "good"},
		"the same":              {honest, honest, 5, 5, false, 0, "good"},
		"cosigned":              {honest, honest, 5, 12, true, 0, "cosigned by  example.org/w"},
		"rewound":               {honest, honest, 12, 11, false, 1, "TAMPERED: the log since the kept checkpoint: it had 12 events and has 11: it was cut, rewound or restored from an older backup\n"},
		"another history":       {honest, forged, 5, 12, false, 1, "TAMPERED: the log since the kept checkpoint: among its first 5 events at least one was changed, removed or moved"},
		"another, of that size": {honest, forged, 12, 12, false, 1, "TAMPERED: the log since the kept checkpoint: of its 12 events at least one was changed\n"},
		"another origin":        {honest, other, 5, 12, false, 1, "example.com/audit/2 instead of example.com/audit/1"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "kept")
			before := c.kept.log.Checkpoint(t, c.from, c.kept.key)
			check.NoError(t, os.WriteFile(file, before, 0o600))
			now := *c.now
			now.size = c.to
			args := []string{"audit", "verify", "--checkpoint", file, "--key", key.Text, "--key", other.key.Text}
			if c.witness {
				now.witness = &witness
				args = append(args, "--witness", witness.Text)
			}
			code, out, problem := run(t, now.start(t), args...)
			if code != c.code || !strings.Contains(out, c.want) || problem != "" {
				t.Errorf("%d\n%s%s, want %d with %q", code, out, problem, c.code, c.want)
			}
			text, err := os.ReadFile(file)
			if renewed := string(text) != string(before); err != nil || renewed != (c.code == 0 && c.from != c.to) {
				t.Errorf("the kept checkpoint was renewed: %t, %v", renewed, err)
			}
		})
	}
}

// Without anything from outside of the database it is said what cannot be known, and with a name
// for it the first checkpoint is kept.
func TestAuditVerifyLogForTheFirstTime(t *testing.T) {
	key := auditlogtest.LogKey(t, logOrigin)
	environ := newProvingGateway(t, key, 3, "updated").start(t)
	if code, out, problem := run(t, environ, "audit", "key"); code != 0 || out != key.Text+"\n" || problem != "" {
		t.Errorf("the key: %d %q %q", code, out, problem)
	}
	file := filepath.Join(t.TempDir(), "kept")
	for _, args := range [][]string{nil, {"--checkpoint", file}} {
		code, out, problem := run(t, environ, append([]string{"audit", "verify", "--key", key.Text}, args...)...)
		if code != 0 || problem != "" || !strings.Contains(out, "not known: whether the log was rewound, cut or restored from an older backup") || !strings.Contains(out, "--witness") {
			t.Errorf("%v: %d\n%s%s", args, code, out, problem)
		}
	}
	if code, out, problem := run(t, environ, "audit", "verify", "--key", key.Text, "--checkpoint", file); code != 0 || !strings.Contains(out, "only grew") {
		t.Errorf("%d\n%s%s", code, out, problem)
	}
	unsafe := filepath.Join(t.TempDir(), "unsafe")
	check.NoError(t, os.WriteFile(unsafe, nil, 0o666))
	check.NoError(t, os.Chmod(unsafe, 0o666))
	for name, c := range map[string]struct {
		environ, args []string
		code          int
		want          string
	}{
		"no key":              {environ, nil, 2, "names " + key.Text},
		"another key":         {environ, []string{"--key", auditlogtest.LogKey(t, logOrigin).Text}, 1, "TAMPERED: the newest checkpoint"},
		"an absent witness":   {environ, []string{"--key", key.Text, "--witness", auditlogtest.WitnessKey(t, "example.org/w").Text}, 1, "has not cosigned"},
		"nobody to ask":       {[]string{"GATEHOUSE_CLI_TOKEN=canary", "GATEHOUSE_URL=http://127.0.0.1:1"}, []string{"--key", key.Text}, 2, "not verified"},
		"a kept text of none": {environ, []string{"--key", key.Text, "--checkpoint", unsafe}, 2, "can be written by others"},
	} {
		code, out, problem := run(t, c.environ, append([]string{"audit", "verify"}, c.args...)...)
		if code != c.code || !strings.Contains(out+problem, c.want) {
			t.Errorf("%s: %d\n%s%s, want %d with %q", name, code, out, problem, c.code, c.want)
		}
	}
}

// A bundle that the platform hands out is good where it is verified, also when its newest event was
// not covered at first.
func TestAuditBundle(t *testing.T) {
	key := auditlogtest.LogKey(t, logOrigin)
	g := newProvingGateway(t, key, 5, "updated")
	g.size, g.waits = 3, 2
	environ := g.start(t)
	file := filepath.Join(t.TempDir(), "bundle")
	code, out, problem := run(t, environ, "audit", "bundle", file, "--actor", "x", "--key", key.Text)
	if code != 0 || problem != "" || out != file+": 5 events under the checkpoint of size 5 of example.com/audit/1\n" {
		t.Fatalf("%d\n%s%s", code, out, problem)
	}
	if code, out, problem := run(t, nil, "audit", "verify", "bundle", file, "--key", key.Text); code != 0 || !strings.Contains(out, "good: 5 events are in the trail") {
		t.Errorf("%d\n%s%s", code, out, problem)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a file that exists":  {[]string{file}, "exists"},
		"too many":            {[]string{file + "2", "-n", "4"}, "more than 4 events match"},
		"another key":         {[]string{file + "2", "--key", auditlogtest.LogKey(t, logOrigin).Text}, "the platform's checkpoint"},
		"no folder":           {[]string{filepath.Join(file, "x")}, "write the bundle"},
		"a limit that is off": {[]string{file + "2", "-n", "0"}, "--limit is 0"},
		"no moment":           {[]string{file + "2", "--since", "yesterday"}, "--since is \"yesterday\""},
		"a witness alone":     {[]string{file + "2", "--witness", "witness.example.org+00000000+AA=="}, "give the log's verifier key with --key"},
	} {
		code, out, problem := run(t, environ, append([]string{"audit", "bundle"}, c.args...)...)
		if code != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: %d\n%s%s, want %q", name, code, out, problem, c.want)
		}
	}
	g.sealed[2] = newProvingGateway(t, key, 3, "deleted").sealed[2]
	if code, _, problem := run(t, environ, "audit", "bundle", file+"2"); code != 1 || !strings.Contains(problem, "the platform proves nothing: event 0192f0c1-2f6e-7c3a-9d55-000000000002") {
		t.Errorf("a platform that proves nothing: %d %s", code, problem)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
