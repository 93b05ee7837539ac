package logs

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/registry"
)

const peer = "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/"

// What Envoy 1.40 writes: the members in another order, absent values as null, and its own messages
// between the lines.
const sample = `[2026-11-22 10:00:00.000][7][warning][main] [source/server/server.cc:1] there is no configured limit
{"connection":null,"details":"via_upstream","path":"/a.B/C","peer":"` + peer + `gateway","time":"2026-11-22T10:00:01.000Z"}
{"connection":null,"details":"rbac_access_denied_matched_policy[none]","path":"/a.B/C","peer":"` + peer + `auth","time":"2026-11-22T10:00:02.000Z"}
{"connection":null,"details":"rbac_access_denied_matched_policy[none]","path":"/a.B/C","peer":"` + peer + `auth","time":"2026-11-22T10:00:04.000Z"}
{"connection":null,"details":"rbac_access_denied_matched_policy[none]","path":"/a.B/D","peer":"` + peer + `gateway","time":"2026-11-22T10:00:03.000Z"}
{"connection":"rbac_access_denied_matched_policy[none]","details":null,"path":null,"peer":"` + peer + `probe","time":"2026-11-22T10:00:03.000Z"}
{"connection":null,"details":"via_upstream","path":"/rbac_access_denied","peer":"` + peer + `auth","time":"2026-11-22T10:00:05.000Z"}
{"connection":null,"details":"rbac_access_denied_matched_policy[none]","path":"/a.B/C
`

func at(second int) time.Time { return time.Date(2026, 11, 22, 10, 0, second, 0, time.UTC) }

func TestTally(t *testing.T) {
	for name, c := range map[string]struct {
		since time.Time
		want  []Call
	}{
		"everything": {at(0), []Call{
			{Caller: "auth", Callee: "identity", Method: "/a.B/C", Count: 2, Last: at(4)},
			{Caller: "gateway", Callee: "identity", Method: "/a.B/D", Count: 1, Last: at(3)},
			{Caller: "probe", Callee: "identity", Count: 1, Last: at(3)},
		}},
		"the latest only": {at(4), []Call{{Caller: "auth", Callee: "identity", Method: "/a.B/C", Count: 1, Last: at(4)}}},
		"nothing":         {at(10), []Call{}},
	} {
		t.Run(name, func(t *testing.T) {
			tally := NewTally(c.since, "")
			if err := tally.Add("identity", strings.NewReader(sample)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, tally.Calls()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A log that was set aside for its size still counts; a sidecar without a log has refused nothing.
func TestTallyReadsWhatWasSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity-sidecar.log")
	tally := NewTally(at(0), "")
	if err := tally.AddFile("identity", path); err != nil || len(tally.Calls()) != 0 {
		t.Errorf("without a log: %v, %v", tally.Calls(), err)
	}
	for _, name := range []string{path, path + ".1"} {
		if err := os.WriteFile(name, []byte(sample), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := tally.AddFile("identity", path); err != nil {
		t.Fatal(err)
	}
	if got := tally.Calls(); len(got) != 3 || got[0].Count != 4 {
		t.Errorf("calls are %+v", got)
	}
}

// With a service prefix a caller that has it is known by its program. Somebody else's service is
// shown whole, or it would be taken for the program of that name.
func TestTallyKnowsProgramsByThePrefix(t *testing.T) {
	tally := NewTally(at(0), "gatehouse-")
	if err := tally.Add("identity", strings.NewReader(strings.ReplaceAll(sample, "/svc/auth", "/svc/gatehouse-auth"))); err != nil {
		t.Fatal(err)
	}
	var callers []string
	for _, call := range tally.Calls() {
		callers = append(callers, call.Caller)
	}
	if diff := cmp.Diff([]string{"auth", peer + "gateway", peer + "probe"}, callers); diff != "" {
		t.Error(diff)
	}
}

func TestFormatIsAnObject(t *testing.T) {
	var members map[string]string
	if err := json.Unmarshal([]byte(Format()), &members); err != nil || len(members) != 5 {
		t.Errorf("%d members, %v", len(members), err)
	}
}

// Terraform and `gatehouse mesh render` have the entry from a file.
func TestTheEntryIsTheFile(t *testing.T) {
	text, err := registry.EncodeEntry(Entry())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(consul.ProxyDefaultsEntry())); diff != "" {
		t.Errorf("consul/proxy-defaults-entry.json is another one (-entry +file):\n%s", diff)
	}
}
