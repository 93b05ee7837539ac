package logs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
)

// nomadOf answers as Nomad does: two sidecars of identity, whose log comes in parts, one on a host
// that is away, a sidecar that never ran, and jobs of others.
func nomadOf(t *testing.T) *api.Client {
	t.Helper()
	started := `"StartedAt": "2026-11-22T10:00:00Z"`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := func(text string) { _, _ = w.Write([]byte(text)) }
		part := func(data string) {
			raw, err := json.Marshal(map[string]any{"Data": []byte(data), "File": "stdout.0"})
			if err != nil {
				t.Error(err)
			}
			answer(string(raw))
		}
		switch path := r.URL.Path; {
		case path == "/v1/allocations":
			answer(`[{"ID": "one", "JobID": "identity", "NodeID": "n1", "NodeName": "client-1", "TaskStates": {"connect-proxy-x-identity": {` + started + `}, "serve": {` + started + `}}},
				{"ID": "two", "JobID": "identity", "NodeID": "n2", "NodeName": "client-2", "TaskStates": {"connect-proxy-x-identity": {` + started + `}}},
				{"ID": "new", "JobID": "identity", "NodeID": "n1", "NodeName": "client-1", "TaskStates": {"connect-proxy-x-identity": {}}},
				{"ID": "other", "JobID": "other", "NodeID": "n1", "NodeName": "client-1", "TaskStates": {"connect-proxy-other": {` + started + `}}}]`)
		case path == "/v1/client/fs/logs/one" && r.URL.Query().Get("task") == "connect-proxy-x-identity" && r.URL.Query().Get("type") == "stdout":
			part(sample[:200])
			answer("{}") // that it is alive
			part(sample[200:])
		case path == "/v1/client/fs/logs/two":
			http.Error(w, "No path to node", http.StatusNotFound)
		default:
			http.Error(w, path, http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	client, err := api.NewClient(&api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Of a cluster the sidecars' logs are read where Nomad keeps them, and what cannot be read is told.
func TestTallyReadsNomadsLogs(t *testing.T) {
	tally := NewTally(at(0), "")
	unread, err := tally.AddNomad(t.Context(), nomadOf(t), []string{"identity", "auth"})
	if err != nil {
		t.Fatal(err)
	}
	if len(unread) != 1 || !strings.Contains(unread[0], "the log of identity's sidecar on client-2 cannot be read") || !strings.Contains(unread[0], "No path to node") {
		t.Errorf("not read: %q", unread)
	}
	files := NewTally(at(0), "")
	if err := files.Add("identity", strings.NewReader(sample)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files.Calls(), tally.Calls()); diff != "" || !slices.ContainsFunc(tally.Calls(), func(c Call) bool { return c.Count == 2 }) {
		t.Error(diff)
	}
}

func TestNomadIsAway(t *testing.T) {
	client, err := api.NewClient(&api.Config{Address: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewTally(at(0), "").AddNomad(t.Context(), client, []string{"identity"}); err == nil || !strings.Contains(err.Error(), "list Nomad's allocations") {
		t.Errorf("%v", err)
	}
}

func TestNomadRefuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Permission denied", http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	client, err := api.NewClient(&api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewTally(at(0), "").AddNomad(t.Context(), client, []string{"identity"}); err == nil || !strings.Contains(err.Error(), "set NOMAD_TOKEN") {
		t.Errorf("%v", err)
	}
}
