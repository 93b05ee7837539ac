package verify

import (
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
)

// allocationWith is one on a host, in a state, whose task has had the events.
func allocationWith(host, state string, events ...*api.TaskEvent) *api.AllocationListStub {
	return &api.AllocationListStub{NodeName: host, ClientStatus: state, TaskStates: map[string]*api.TaskState{"ask": {Events: events}}}
}

// Only a job that failed on every host before its task could start has been given nothing.
func TestWhatATemplateWasGiven(t *testing.T) {
	refusal := &api.TaskEvent{Type: "Template", DisplayMessage: "Template failed: error calling caLeaf: function is disabled"}
	setup := &api.TaskEvent{Type: api.TaskSetupFailure, DisplayMessage: "failed to setup alloc: permission denied", FailsTask: true}
	received := &api.TaskEvent{Type: api.TaskReceived}
	failed := allocationWith("one", api.AllocClientStatusFailed, received, refusal)
	for name, c := range map[string]struct {
		all  []*api.AllocationListStub
		want Verdict
		says string
	}{
		"refused everywhere":     {[]*api.AllocationListStub{failed, allocationWith("two", api.AllocClientStatusFailed, received, refusal)}, Refused, "on 2 hosts"},
		"one host cannot run it": {[]*api.AllocationListStub{failed, allocationWith("two", api.AllocClientStatusFailed, received, setup)}, Unasked, ""},
		"why":                    {[]*api.AllocationListStub{failed}, Refused, "function is disabled"},
		"without a word":         {[]*api.AllocationListStub{{ClientStatus: api.AllocClientStatusFailed, ClientDescription: "lost"}}, Unasked, ""},
		"one host has not yet":   {[]*api.AllocationListStub{failed, allocationWith("two", api.AllocClientStatusPending, received)}, Unasked, ""},
		"nowhere yet":            {nil, Unasked, ""},
		"one host gives it":      {[]*api.AllocationListStub{failed, allocationWith("two", api.AllocClientStatusRunning, &api.TaskEvent{Type: api.TaskStarted})}, Passed, "on two"},
		"it fails of the rest":   {[]*api.AllocationListStub{allocationWith("two", api.AllocClientStatusFailed, received, &api.TaskEvent{Type: api.TaskDriverFailure})}, Passed, "on two"},
		"it has ended meanwhile": {[]*api.AllocationListStub{allocationWith("two", api.AllocClientStatusComplete, &api.TaskEvent{Type: api.TaskTerminated})}, Passed, "on two"},
	} {
		if got, says := judged(c.all); got != c.want || !strings.Contains(says, c.says) {
			t.Errorf("%s: %s (%s), want %s (%s)", name, got, says, c.want, c.says)
		}
	}
}

// A Nomad that takes no job has refused nothing.
func TestNomadTakesNoJob(t *testing.T) {
	client, err := api.NewClient(&api.Config{Address: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	g := &ground{}
	(&Nomad{Client: client}).tryTemplates(g, []string{"auth", "audit"}, "x-")
	if len(g.more) != 1 || len(g.untried) != 0 {
		t.Fatalf("%d questions, untried %q", len(g.more), g.untried)
	}
	if got, says := g.more[0].ask(t.Context()); got != Unasked || !strings.Contains(says, "the job cannot be run") {
		t.Errorf("%s (%s)", got, says)
	}
}
