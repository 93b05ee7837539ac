package explain_test

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

const repository = "../../../.."

func definition(t *testing.T) explain.Definition {
	t.Helper()
	sources, err := consul.Sources()
	if err != nil {
		t.Fatal(err)
	}
	return explain.Definition{Definition: meshtest.Definition(t), Sources: sources, Folder: "consul/config-entries"}
}

// lineAt is the line of the checkout that a place names.
func lineAt(t *testing.T, place string) string {
	t.Helper()
	name, number, _ := strings.Cut(place, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatalf("no place: %q", place)
	}
	f, err := os.Open(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for range n {
		if !lines.Scan() {
			t.Fatalf("%s has no such line", place)
		}
	}
	return lines.Text()
}

// For every cell of the matrix the answer is the definition's, and every place in it is a line of
// the checkout that says so.
func TestAnswersOfTheWholeMatrix(t *testing.T) {
	d := definition(t)
	for _, cell := range d.Cells() {
		answers, err := d.Answers(explain.Question{Caller: cell.Caller, Callee: cell.Callee, Path: cell.Path}, nil)
		if err != nil || len(answers) != 1 {
			t.Fatalf("%s: %v, %v", cell, answers, err)
		}
		a := answers[0]
		if a.Allowed != cell.Allowed || a.Entry.Allowed != cell.Allowed || a.Running != nil {
			t.Errorf("%s is %+v", cell, a)
		}
		if at := lineAt(t, a.Entry.Where); !strings.Contains(at, "{") {
			t.Errorf("%s: the entry's place %s is %q", cell, a.Entry.Where, at)
		}
		for _, line := range a.Contract {
			if line.Where == "" {
				t.Errorf("%s: %q has no place", cell, line.Says)
				continue
			}
			at, method := lineAt(t, line.Where), cell.Path[strings.LastIndex(cell.Path, "/")+1:]
			want := "calls"
			switch {
			case strings.HasSuffix(line.Says, "declares the call"):
				want = strings.TrimPrefix(cell.Path, "/")
			case strings.HasSuffix(line.Says, "consents to every service that declares it"):
				want = "every_service"
			case strings.Contains(line.Says, "consents to"):
				want = strconv.Quote(cell.Caller)
			case strings.Contains(line.Says, "every method that has a route"):
				want = "google.api.http"
			case strings.Contains(line.Says, "this one it does not"):
				want = "rpc " + method
			case strings.Contains(line.Says, "does not consent"):
				want = "" // the allow, or the option that has none
			case strings.Contains(line.Says, "does not need"), strings.Contains(line.Says, "does not declare"), strings.Contains(line.Says, "itself"):
				want = "" // the list, or the option that has none
			case strings.Contains(line.Says, " needs "):
				want = "BACKING_" + strings.ToUpper(cell.Callee)
			}
			if !strings.Contains(at, want) || at == "" {
				t.Errorf("%s: %q is said of %s, which is %q", cell, line.Says, line.Where, at)
			}
		}
	}
}

// The permission's place is that of the permission.
func TestThePlaceOfAPermission(t *testing.T) {
	d := definition(t)
	answers, err := d.Answers(explain.Question{Caller: "identity", Callee: "authz", Path: write}, nil)
	if err != nil {
		t.Fatal(err)
	}
	name, number, _ := strings.Cut(answers[0].Entry.Where, ":")
	text, err := os.ReadFile(filepath.Join(repository, name))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	if after := strings.Join(strings.Split(string(text), "\n")[n-1:n+4], " "); !strings.Contains(after, `"`+write+`"`) {
		t.Errorf("%s is %s", answers[0].Entry.Where, after)
	}
	if want := "source identity, permission 6 of 7: allow, path is " + write; answers[0].Entry.Says != want {
		t.Errorf("it says %q, want %q", answers[0].Entry.Says, want)
	}
}

func TestAnswersWithoutAContract(t *testing.T) {
	d := definition(t)
	d.Sources = nil
	for name, c := range map[string]struct {
		q    explain.Question
		want string
	}{
		"declared":           {explain.Question{Caller: "identity", Callee: "authz", Path: write}, "identity declares the call; authz consents to identity"},
		"not declared":       {explain.Question{Caller: "audit", Callee: "authz", Path: write}, `audit does not declare the call: it would have to be among its calls; authz does not consent: "audit" would have to be in its allow`},
		"by the edge":        {explain.Question{Caller: "gateway", Callee: "identity", Path: "/gatehouse.identity.v1.UserService/GetMe"}, "gateway declares the call; identity consents to gateway"},
		"itself":             {explain.Question{Caller: "authz", Callee: "authz", Path: write}, "authz does not call itself through the mesh"},
		"the edge":           {explain.Question{Caller: "auth", Callee: "gateway"}, "gateway is no callee of the mesh: it serves no gRPC methods"},
		"from the database":  {explain.Question{Caller: "postgres", Callee: "auth", Path: "/gatehouse.auth.v1.AuthService/SignIn"}, "postgres is no program of ours: it has no contract and calls nobody"},
		"to the database":    {explain.Question{Caller: "auth", Callee: "postgres"}, "auth needs postgres"},
		"without a database": {explain.Question{Caller: "gateway", Callee: "postgres"}, "gateway does not need postgres: it would have to be among its needs"},
	} {
		answers, err := d.Answers(c.q, nil)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, line := range answers[0].Contract {
			said = append(said, line.Says)
		}
		if got := strings.Join(said, "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if _, err := d.Answers(explain.Question{Caller: "auth", Callee: "nobody"}, nil); err == nil {
		t.Error("somebody who is not there has rules")
	}
}

// What runs is said beside the definition, and marked where it decides otherwise.
func TestWhatRunsIsSaidBeside(t *testing.T) {
	d := definition(t)
	prefixed := func(program string) string { return "x-" + program }
	deny := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "x-authz",
		Sources: []*api.SourceIntention{{Name: "x-identity", Action: api.IntentionActionDeny}, {Name: "*", Action: api.IntentionActionDeny}},
		Meta:    map[string]string{"denied x-identity": "2026-11-28T21:00:00Z by ada@desk: it floods"}}
	unsure := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: "x-authz", Sources: []*api.SourceIntention{{Name: "x-identity",
		Permissions: []*api.IntentionPermission{{Action: api.IntentionActionAllow, JWT: &api.IntentionJWTRequirement{}}}}}}
	for name, c := range map[string]struct {
		own     *api.ServiceIntentionsConfigEntry
		path    string
		differs bool
		want    string
	}{
		"denied by hand": {deny, write, true, "denied, UNLIKE the definition, in the cluster: service-intentions/x-authz, source x-identity: deny (denied by hand: 2026-11-28T21:00:00Z by ada@desk: it floods)"},
		"the same":       {deny, check, false, "denied, in the cluster: service-intentions/x-authz, source x-identity: deny (denied by hand"},
		"no entry":       {nil, write, true, "denied, the cluster: no entry names the caller"},
		"for some":       {unsure, write, true, "allowed for some requests only, UNLIKE the definition"},
	} {
		answers, err := d.Answers(explain.Question{Caller: "identity", Callee: "authz", Path: c.path}, &explain.Live{Own: c.own, Service: prefixed})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := explain.Text(&out, answers, "the cluster"); err != nil {
			t.Fatal(err)
		}
		if answers[0].Differs() != c.differs || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: differs %v:\n%s\nwant %q", name, answers[0].Differs(), out.String(), c.want)
		}
	}
	answers, err := d.Answers(explain.Question{Caller: "identity", Callee: "authz"}, &explain.Live{Own: deny, Service: prefixed})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := explain.Text(&out, answers, "the cluster"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"identity -> authz: 6 of ", "RUNNING: denied", answers[0].Path, "the cluster was asked"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
	if got := strings.Count(out.String(), "RUNNING: denied"); got != 6 {
		t.Errorf("%d methods are marked:\n%s", got, out.String())
	}
}
