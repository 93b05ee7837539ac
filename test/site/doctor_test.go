package site_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	jobs "github.com/gatehouse/gatehouse/nomad"
)

const prefix = "gatehouse-"

// Gatehouse comes to a site of somebody else, whose jobs, services and entries stay as they are. Of
// theirs one thing alone is changed, by the operator: Nomad's stock binding rule.
func TestASiteOfOthers(t *testing.T) {
	s := newSite(t)
	s.carelessClients(t)
	run(t, s.environ(), filepath.Join(s.Programs, "nomad"), "setup", "consul", "-y", "-jwks-url", "https://"+address+":4646/.well-known/jwks.json",
		"-jwks-ca-file", s.file("ca.pem"))
	s.theirEntries(t)
	s.submit(t, "postgres")
	s.submit(t, "shop")
	s.says(t, "shop", "http://127.0.0.1:5000/", theirs)

	report := s.doctor(t, "", 1)
	report.has(t, "danger", "entries-foreign", "service-defaults/postgres")
	report.has(t, "danger", "entries-foreign", "service-intentions/postgres")
	report.has(t, "danger", "service-names", "the job postgres in Nomad's namespace default")
	report.has(t, "danger", "binding-rules", "${value.nomad_service}")
	report = s.doctor(t, prefix, 1)
	if ids := report.ids("danger"); !slices.Equal(ids, []string{"binding-rules"}) {
		t.Errorf("with a prefix the dangers are %v\n%+v", ids, report)
	}
	s.thieves(t)
	theirsBefore := s.theirs(t)

	fix := report.find(t, "danger", "binding-rules").Fix
	run(t, append(s.environ(), "PATH="+s.Programs+":"+os.Getenv("PATH")), "sh", "-ec", fix)
	report = s.doctor(t, prefix, 0)
	report.has(t, "ok", "binding-rules", "no binding rule")

	s.install(t)
	report = s.doctor(t, prefix, 0)
	report.has(t, "ok", "apply-changes", "0 of 16 config entries and 0 of 6 policies")
	report.has(t, "ok", "proxies-anonymous", "has been given a token")
	powerless(t)

	theirsAfter := s.theirs(t)
	for name := range maps.Keys(theirsBefore) {
		if theirsBefore[name] != theirsAfter[name] && !strings.HasPrefix(name, "rule ") {
			t.Errorf("%s was\n%s\nand is\n%s", name, theirsBefore[name], theirsAfter[name])
		}
	}
	s.says(t, "shop", "http://127.0.0.1:5000/", theirs)
	s.says(t, "shop", "http://127.0.0.1:5001/", "RBAC: access denied")
	for _, service := range []string{prefix + "authz", strings.ToUpper(prefix + "authz")} {
		s.steal(t, service, "403")
	}
}

// carelessClients sees each hazard of a client named, and gone when the operator has followed.
func (s *site) carelessClients(t *testing.T) {
	t.Helper()
	report := s.doctor(t, prefix, 1)
	report.has(t, "danger", "nomad-templates", "site")
	report.has(t, "warning", "nomad-raw-exec", "site")
	report.has(t, "ok", "nomad-hosts", "what the jobs need")
	report.has(t, "ok", "nomad-tls", "ask each other")
	s.Careful = true
	s.startNomad(t)
	s.awaitNode(t)
	check.Within(t, time.Minute, "Nomad's client has heard of it", func() error {
		node := s.nomad.Nodes()
		list, _, err := node.List(nil)
		if err != nil || len(list) != 1 {
			return fmt.Errorf("%d clients, %w", len(list), err)
		}
		info, _, err := node.Info(list[0].ID, nil)
		if err == nil && info.Attributes["driver.raw_exec"] != "" {
			err = errors.New("it runs tasks as root")
		}
		return err
	})
	report = s.doctor(t, prefix, 0)
	report.has(t, "ok", "nomad-templates", "caLeaf")
	report.has(t, "ok", "nomad-raw-exec", "root")
}

// theirEntries are those of the service of somebody else.
func (s *site) theirEntries(t *testing.T) {
	t.Helper()
	for _, entry := range []consul.ConfigEntry{
		&consul.ServiceConfigEntry{Kind: consul.ServiceDefaults, Name: "postgres", Protocol: "http", Meta: map[string]string{"team": "shop"}},
		&consul.ServiceIntentionsConfigEntry{Kind: consul.ServiceIntentions, Name: "postgres", Sources: []*consul.SourceIntention{{Name: "shop", Action: consul.IntentionActionAllow}}},
		&consul.ServiceConfigEntry{Kind: consul.ServiceDefaults, Name: "shop", Protocol: "http"},
	} {
		_, _, err := s.consul.ConfigEntries().Set(entry, nil)
		check.NoError(t, err)
	}
}

// theirs is everything of others in Consul that an apply could touch, byte by byte.
func (s *site) theirs(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	keep := func(name string, value any, err error) {
		check.NoError(t, err)
		text, err := json.Marshal(value)
		check.NoError(t, err)
		all[name] = string(text)
	}
	for _, name := range []string{"service-defaults/postgres", "service-intentions/postgres", "service-defaults/shop"} {
		kind, of, _ := strings.Cut(name, "/")
		entry, _, err := s.consul.ConfigEntries().Get(kind, of, nil)
		keep("entry "+name, entry, err)
	}
	policies, _, err := s.consul.ACL().PolicyList(nil)
	check.NoError(t, err)
	for _, p := range policies {
		if !strings.HasPrefix(p.Name, prefix) {
			keep("policy "+p.Name, p, nil)
		}
	}
	roles, _, err := s.consul.ACL().RoleList(nil)
	keep("roles", roles, err)
	method, _, err := s.consul.ACL().AuthMethodRead(registry.AuthMethod, nil)
	keep("method", method, err)
	rules, _, err := s.consul.ACL().BindingRuleList("", nil)
	check.NoError(t, err)
	for _, r := range rules {
		if !strings.HasPrefix(r.Description, "Gatehouse: ") {
			keep("rule "+r.ID, r, nil)
		}
	}
	return all
}

// thieves get our names as long as the stock rule is open, in whichever case; what they got is named.
func (s *site) thieves(t *testing.T) {
	t.Helper()
	for _, service := range []string{prefix + "authz", strings.ToUpper(prefix + "authz")} {
		s.steal(t, service, "")
	}
}

// steal runs a job that names its service so: it is refused with those words, or, with none, gets a
// token of ours, which goes with it.
func (s *site) steal(t *testing.T, service, refusal string) {
	t.Helper()
	text, err := os.ReadFile("testdata/thief.nomad.hcl")
	check.NoError(t, err)
	s.register(t, strings.ReplaceAll(string(text), "SERVICE", service), "default", "")
	defer func() {
		_, _, err := s.nomad.Jobs().Deregister("thief", true, nil)
		check.NoError(t, err)
		check.Within(t, time.Minute, "its token goes with it", func() error { return s.stolen(false) })
	}()
	check.Within(t, 2*time.Minute, "the thief is "+service, func() error {
		if refusal == "" {
			return s.stolen(true)
		}
		return s.refused("thief", refusal)
	})
	if refusal != "" {
		check.NoError(t, s.stolen(false))
		return
	}
	s.doctor(t, prefix, 1).has(t, "danger", "tokens-foreign", "the service identity of gatehouse-authz")
}

// stolen reports an error unless somebody has the identity of one of our services, or nobody has.
func (s *site) stolen(want bool) error {
	list, _, err := s.consul.ACL().TokenList(nil)
	if err != nil {
		return err
	}
	got := slices.ContainsFunc(list, func(token *consul.ACLTokenListEntry) bool {
		return slices.ContainsFunc(token.ServiceIdentities, func(i *consul.ACLServiceIdentity) bool { return i.ServiceName == prefix+"authz" })
	})
	if got != want {
		return fmt.Errorf("somebody has our name: %t", got)
	}
	return nil
}

// refused is nil when an allocation of the job was refused with those words.
func (s *site) refused(job, words string) error {
	all, _, err := s.nomad.Jobs().Allocations(job, false, nil)
	if err != nil {
		return err
	}
	said := errors.New("it has no allocation")
	for _, a := range all {
		for _, state := range a.TaskStates {
			for _, event := range state.Events {
				said = errors.New(event.DisplayMessage)
				if strings.Contains(event.DisplayMessage, words) {
					return nil
				}
			}
		}
	}
	return said
}

// install brings Gatehouse to the site as docs/install.md says: the rules, the secrets, the jobs.
func (s *site) install(t *testing.T) {
	t.Helper()
	run(t, s.environ(), filepath.Join(s.Programs, "gatehouse"), "mesh", "render", "--prefix", prefix, "--out", s.file("rendered"))
	run(t, append(s.environ(), "PATH="+s.Programs+":"+os.Getenv("PATH")), "sh", s.file("rendered/apply.sh"))
	run(t, s.environ(), filepath.Join(s.Programs, "gatehouse"), "secrets", "ensure", "--tls-cert", s.file("gateway.pem"), "--tls-key", s.file("gateway.key"))
	roots, _, err := s.consul.Agent().ConnectCARoots(nil)
	check.NoError(t, err)
	all, err := jobs.Jobs()
	check.NoError(t, err)
	variables := fmt.Sprintf("trust_domain = %q\nservice_prefix = %q\n", roots.TrustDomain, prefix)
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names {
		s.register(t, oneInstance(all[name]), "gatehouse", variables)
	}
	for _, name := range names {
		check.Within(t, 4*time.Minute, "the job "+name, func() error {
			d, _, err := s.nomad.Jobs().LatestDeployment(name, &nomad.QueryOptions{Namespace: "gatehouse"})
			switch {
			case err != nil:
				return err
			case d == nil:
				return errors.New("it is not deployed")
			case d.Status == nomad.DeploymentStatusFailed:
				t.Fatalf("%s: %s", name, d.StatusDescription)
			case d.Status != nomad.DeploymentStatusSuccessful:
				return errors.New(d.StatusDescription)
			}
			return nil
		})
	}
}

// powerless sees that no task of ours has a capability, where the client gives some by default,
// even to who is not root (R82).
func powerless(t *testing.T) {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	check.NoError(t, err)
	seen := 0
	for _, environ := range environs {
		text, err := os.ReadFile(environ)
		status, statusErr := os.ReadFile(filepath.Join(filepath.Dir(environ), "status"))
		if err != nil || statusErr != nil || !bytes.Contains(text, []byte("NOMAD_NAMESPACE=gatehouse\x00")) {
			continue
		}
		seen++
		if sets := capabilities.FindAllString(string(status), -1); len(sets) != 3 {
			t.Errorf("%s has capabilities: of three sets only %v are empty", bytes.SplitN(status, []byte("\n"), 2)[0], sets)
		}
	}
	if seen < 10 {
		t.Errorf("only %d processes were looked at", seen)
	}
}

var capabilities = regexp.MustCompile(`(?m)^Cap(?:Prm|Eff|Amb):\t0{16}$`)

var counts = regexp.MustCompile(`(?m)^(\s+(?:count|canary)\s+=) \d`)

// oneInstance is a job for one host.
func oneInstance(text string) string { return counts.ReplaceAllString(text, "$1 1") }

// submit runs a job of somebody else.
func (s *site) submit(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".nomad.hcl")
	check.NoError(t, err)
	s.register(t, string(text), "default", "")
}

func (s *site) register(t *testing.T, text, namespace, variables string) {
	t.Helper()
	job, err := s.nomad.Jobs().ParseHCLOpts(&nomad.JobsParseRequest{JobHCL: text, Variables: variables, Canonicalize: true})
	check.NoError(t, err)
	_, _, err = s.nomad.Jobs().Register(job, &nomad.WriteOptions{Namespace: namespace})
	check.NoError(t, err)
}

// says waits until the last answer that a job tells of a URL has these words in it.
func (s *site) says(t *testing.T, job, url, words string) {
	t.Helper()
	pace := time.Tick(time.Second) // each look is a connection to Nomad's client
	check.Within(t, 2*time.Minute, url+" answers "+words, func() error {
		<-pace
		all, _, err := s.nomad.Jobs().Allocations(job, false, nil)
		if err != nil || len(all) == 0 {
			return fmt.Errorf("%d allocations, %w", len(all), err)
		}
		text, err := s.output(all[0].ID)
		if err != nil {
			return fmt.Errorf("%s: %w", all[0].ClientStatus, err)
		}
		last := ""
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, url) && strings.HasSuffix(line, "\n") {
				last = line
			}
		}
		if !strings.Contains(last, words) {
			return errors.New(last)
		}
		return nil
	})
}

// output is the end of what a task has printed.
func (s *site) output(allocation string) (string, error) {
	a, _, err := s.nomad.Allocations().Info(allocation, nil)
	if err != nil {
		return "", err
	}
	cancel := make(chan struct{})
	defer close(cancel)
	frames, problems := s.nomad.AllocFS().Logs(a, false, "ask", "stdout", "end", 2000, cancel, nil)
	var b strings.Builder
	for {
		select {
		case err := <-problems:
			if errors.Is(err, io.EOF) {
				return b.String(), nil
			}
			return b.String(), err
		case frame, ok := <-frames:
			if !ok {
				return b.String(), nil
			}
			b.Write(frame.Data)
		}
	}
}

// environ is how commands find the site.
func (s *site) environ() []string {
	return []string{
		"CONSUL_HTTP_ADDR=https://" + address + ":8501", "CONSUL_HTTP_TOKEN=" + s.Token, "CONSUL_CACERT=" + s.file("ca.pem"),
		"CONSUL_CLIENT_CERT=" + s.file("operator.pem"), "CONSUL_CLIENT_KEY=" + s.file("operator.key"),
		"NOMAD_ADDR=https://" + address + ":4646", "NOMAD_TOKEN=" + s.token, "NOMAD_CACERT=" + s.file("ca.pem"),
		"NOMAD_CLIENT_CERT=" + s.file("operator.pem"), "NOMAD_CLIENT_KEY=" + s.file("operator.key"),
	}
}

// finding and report are what `gatehouse doctor -o json` prints.
type finding struct{ Level, ID, What, Fix string }

type report struct{ Findings []finding }

// doctor runs the command and insists on its exit code.
func (s *site) doctor(t *testing.T, prefix string, code int) report {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.Programs, "gatehouse"), "doctor", "--target", "environment", "--state", s.file("none"), "--prefix", prefix, "-o", "json")
	cmd.Env = append(os.Environ(), s.environ()...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var r report
	check.NoError(t, json.Unmarshal(out, &r))
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("doctor ends with %d, want %d\n%s", got, code, out)
	}
	return r
}

func (r report) find(t *testing.T, level, id string) finding {
	t.Helper()
	i := slices.IndexFunc(r.Findings, func(f finding) bool { return f.Level == level && f.ID == id })
	if i < 0 {
		t.Fatalf("nothing of %s %s in %+v", level, id, r)
	}
	return r.Findings[i]
}

func (r report) has(t *testing.T, level, id, text string) {
	t.Helper()
	if !slices.ContainsFunc(r.Findings, func(f finding) bool { return f.Level == level && f.ID == id && strings.Contains(f.What, text) }) {
		t.Fatalf("no %s of %s with %q in %+v", level, id, text, r)
	}
}

func (r report) ids(level string) []string {
	var ids []string
	for _, f := range r.Findings {
		if f.Level == level {
			ids = append(ids, f.ID)
		}
	}
	return slices.Compact(ids)
}
