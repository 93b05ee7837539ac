package nomad_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Every program and backing service has a job, and nothing else has one.
func TestEveryProgramHasAJob(t *testing.T) {
	var want []string
	for _, name := range registry.Services(meshtest.Definition(t)) {
		want = append(want, "jobs/"+name+".nomad.hcl")
	}
	slices.Sort(want)
	if got := jobFiles(t); !slices.Equal(got, want) {
		t.Errorf("jobs of %v, want %v", got, want)
	}
}

// What follows from a contract stands in the job: names, ports, upstreams with their limits,
// timeouts and windows, the tasks with their environment and secrets.
func TestJobsFollowTheContract(t *testing.T) {
	def := meshtest.Definition(t)
	p := plan.Of(def)
	for _, program := range p.Programs {
		t.Run(program.Name, func(t *testing.T) {
			for _, problem := range problems(t, def, program, render(t, program.Name)) {
				t.Error(problem)
			}
		})
	}
}

// A job that says something else than the contract is found out.
func TestJobsThatDoNotFollowTheContract(t *testing.T) {
	def := meshtest.Definition(t)
	program, err := plan.Of(def).Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	sidecar := func(j *job) *proxy { return &j.TaskGroups[0].Services[0].Connect.SidecarService.Proxy }
	serve := func(j *job) *task {
		tasks := j.TaskGroups[0].Tasks
		return &tasks[slices.IndexFunc(tasks, func(t task) bool { return t.Name == plan.Serve })]
	}
	identity := rendered(t, program.Name)
	for name, c := range map[string]struct {
		change func(*job)
		want   string
	}{
		"an upstream that the contract lacks": {func(j *job) {
			sidecar(j).Upstreams = append(sidecar(j).Upstreams, upstream{DestinationName: prefix + "gateway", LocalBindPort: 20020})
		}, "gateway"},
		"a missing upstream":           {func(j *job) { sidecar(j).Upstreams = sidecar(j).Upstreams[1:] }, "upstreams"},
		"a port of another's upstream": {func(j *job) { sidecar(j).Upstreams[0].LocalBindPort++ }, "upstreams"},
		"no prefix":                    {func(j *job) { sidecar(j).Upstreams[0].DestinationName = "audit" }, "upstreams"},
		"Envoy's limits":               {func(j *job) { delete(sidecar(j).Upstreams[0].Config, "limits") }, "upstreams"},
		"Envoy's timeout":              {func(j *job) { delete(sidecar(j).Config, "local_request_timeout_ms") }, "proxy"},
		"Envoy's cluster":              {func(j *job) { delete(sidecar(j).Config, "envoy_local_cluster_json") }, "proxy"},
		"another protocol":             {func(j *job) { sidecar(j).Config["protocol"] = "http" }, "proxy"},
		"another name":                 {func(j *job) { j.TaskGroups[0].Services[0].Name = prefix + "auth" }, "service"},
		"another job":                  {func(j *job) { j.ID = "auth" }, "job"},
		"another namespace":            {func(j *job) { j.Namespace = "default" }, "namespace"},
		"all of the ops listener":      {func(j *job) { sidecar(j).Expose.Paths[0].Path = "/" }, "expose"},
		"metrics for everybody":        {func(j *job) { j.TaskGroups[0].Networks[0].DynamicPorts[1].HostNetwork = "" }, "ports"},
		"a port more": {func(j *job) {
			j.TaskGroups[0].Networks[0].DynamicPorts = append(j.TaskGroups[0].Networks[0].DynamicPorts, port{Label: "grpc", To: 8081})
		}, "ports"},
		"no names of hosts":  {func(j *job) { j.TaskGroups[0].Networks[0].DNS = nil }, "dns {}"},
		"a missing variable": {func(j *job) { delete(serve(j).Env, "GATEHOUSE_MESH_DATACENTER") }, "environment"},
		"a variable more":    {func(j *job) { serve(j).Env["GATEHOUSE_GRPC_REFLECTION"] = "true" }, "environment"},
		"a secret in clear":  {func(j *job) { serve(j).Env["GATEHOUSE_POSTGRES_URL"] = "postgres://x" }, "environment"},
		"the secret of migrate": {func(j *job) {
			serve(j).Templates[0].EmbeddedTmpl = strings.ReplaceAll(serve(j).Templates[0].EmbeddedTmpl, "serve", "migrate")
		}, "secrets"},
		"a secret for everybody":  {func(j *job) { serve(j).Templates[0].Perms = "0644" }, "secrets"},
		"a secret of root":        {func(j *job) { serve(j).Templates[0].UID = nil }, "secrets"},
		"no migration":            {func(j *job) { j.TaskGroups[0].Tasks = []task{*serve(j)} }, "tasks"},
		"root":                    {func(j *job) { serve(j).User = "" }, "user"},
		"no isolation":            {func(j *job) { serve(j).Driver = "raw_exec" }, "exec"},
		"a token of Consul":       {func(j *job) { serve(j).Consul = map[string]any{} }, "Consul"},
		"a quick kill":            {func(j *job) { serve(j).KillTimeout = 5e9 }, "kill_timeout"},
		"one canary of two":       {func(j *job) { j.TaskGroups[0].Update.Canary = 1 }, "canary"},
		"out of the catalog late": {func(j *job) { j.TaskGroups[0].ShutdownDelay = 0 }, "shutdown_delay"},
		"capabilities":            {func(j *job) { delete(serve(j).Config, "cap_drop") }, "serve keeps capabilities"},
		"a sidecar's":             {func(j *job) { delete(j.TaskGroups[0].Services[0].Connect.SidecarTask.Config, "cap_drop") }, "the sidecar keeps"},
		"a sidecar of root":       {func(j *job) { j.TaskGroups[0].Services[0].Connect.SidecarTask.User = "root" }, "sidecar"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := decode(t, identity)
			c.change(&changed)
			found := problems(t, def, program, changed)
			if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), c.want) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

var update = flag.Bool("update", false, "write the lines with the ports of upstreams")

// The lines with the ports of upstreams are generated: a new service adds one to the gateway's.
func TestTheLinesOfUpstreams(t *testing.T) {
	line := regexp.MustCompile(`(?m)(dynamic "upstreams" \{\n\s+for_each = )\{.*\}$`)
	for _, p := range meshtest.Definition(t).Programs {
		var ports []string
		for _, u := range p.Upstreams {
			if u.Protocol == "grpc" {
				ports = append(ports, fmt.Sprintf("%s = %d", u.Name, u.Port))
			}
		}
		text := read(t, "jobs/"+p.Name+".nomad.hcl")
		want := line.ReplaceAllString(text, "${1}{ "+strings.Join(ports, ", ")+" }")
		if *update && text != want {
			if err := os.WriteFile("jobs/"+p.Name+".nomad.hcl", []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if text != want {
			t.Errorf("%s: run make generate (-contract +job):\n%s", p.Name, cmp.Diff(want, text))
		}
	}
}

// Where the environment says as whom Auth signs in at the mail server, it has the password as a
// secret, and nobody else has: not what migrates, and no other program.
func TestThePasswordOfTheMailServer(t *testing.T) {
	const item, file = "GATEHOUSE_MAIL_SMTP_PASSWORD", "${NOMAD_SECRETS_DIR}/mail-smtp.password"
	for _, name := range registry.Services(meshtest.Definition(t)) {
		text := rendered(t, name, `environment = { GATEHOUSE_MAIL_SMTP_USER = "gatehouse" }`)
		if name != "auth" {
			if strings.Contains(text, item) || strings.Contains(text, file) {
				t.Errorf("%s has the password", name)
			}
			continue
		}
		for _, task := range decode(t, text).TaskGroups[0].Tasks {
			at := slices.IndexFunc(task.Templates, func(one template) bool { return one.DestPath == file })
			if given := at >= 0; given != (task.Name == plan.Serve) || given != (task.Env[item+"_FILE"] == file) {
				t.Errorf("%s: the password is given: %t, its variable is %q", task.Name, given, task.Env[item+"_FILE"])
				continue
			}
			if at < 0 {
				continue
			}
			one := task.Templates[at]
			one.DestPath = task.Templates[0].DestPath
			other := task.Templates[0]
			other.EmbeddedTmpl = "{{ with nomadVar `nomad/jobs/auth/auth/serve` }}{{ ." + item + " }}{{ end }}"
			if diff := cmp.Diff(other, one); diff != "" {
				t.Errorf("unlike the other secrets (-others +password):\n%s", diff)
			}
		}
		if strings.Contains(rendered(t, name), item) {
			t.Error("there is a password without a user")
		}
	}
}

// PostgreSQL's job is what the mesh says of that backing service.
func TestJobOfPostgres(t *testing.T) {
	j := render(t, mesh.Postgres)
	registration, err := registry.BackingRegistration(meshtest.Definition(t), mesh.Postgres, mesh.Config{ServicePrefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	g := j.TaskGroups[0]
	for _, problem := range append(identityOf(j, mesh.Postgres), proxyProblems(t, registration, 0, g.Services[0])...) {
		t.Error(problem)
	}
	if g.Count != 1 || g.Volumes["data"].Source != "gatehouse-postgres" {
		t.Errorf("%d instances on %v", g.Count, g.Volumes)
	}
	if args := fmt.Sprint(g.Services[0].Connect.SidecarTask.Config["args"]); !strings.Contains(args, "--drain-time-s 600 ") {
		t.Errorf("its sidecar drains otherwise: %s", args)
	}
}

// All jobs take the same variables, by which one file serves an environment.
func TestOneFileOfVariablesServesAllJobs(t *testing.T) {
	variables := func(text string) string {
		return strings.Join(regexp.MustCompile(`(?m)^variable "(?:.*\}|(?s:.*?)^\})$`).FindAllString(text, -1), "\n")
	}
	files := jobFiles(t)
	want := variables(read(t, files[0]))
	if strings.Count(want, "variable") < 8 {
		t.Fatalf("found only %s", want)
	}
	for _, file := range files {
		if diff := cmp.Diff(want, variables(read(t, file))); diff != "" {
			t.Errorf("%s has other variables than %s:\n%s", file, files[0], diff)
		}
	}
	names := regexp.MustCompile(`variable "(\w+)"`).FindAllStringSubmatch(want, -1)
	environments, err := filepath.Glob("vars/*.hcl")
	if err != nil || len(environments) == 0 {
		t.Fatal(environments, err)
	}
	for _, environment := range environments {
		text := read(t, environment)
		for _, name := range names {
			if name[1] != "trust_domain" && !regexp.MustCompile(`(?m)^`+name[1]+`\s+=`).MatchString(text) {
				t.Errorf("%s does not say %s", environment, name[1])
			}
		}
		absolute, err := filepath.Abs(environment)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range registry.Services(meshtest.Definition(t)) {
			if out, err := command(t, "job", "run", "-output", "-hcl2-strict", "-var-file="+absolute, "-var", "trust_domain="+trustDomain, file(t, name)); err != nil {
				t.Errorf("%s with %s: %v\n%s", name, environment, err, out)
			}
		}
	}
}

// Who forgets the one variable without a value is told where the value is.
func TestAVariableWithoutAValue(t *testing.T) {
	for _, name := range registry.Services(meshtest.Definition(t)) {
		out, err := command(t, "job", "run", "-output", file(t, name))
		if err == nil || !strings.Contains(out, "Set trust_domain (-var or NOMAD_VAR_trust_domain) to TrustDomain of Consul's /v1/connect/ca/roots") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// The files look alike, and as Nomad writes them.
func TestJobsAreFormatted(t *testing.T) {
	for _, folder := range []string{"jobs", "vars"} {
		absolute, err := filepath.Abs(folder)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := command(t, "fmt", "-check", "-recursive", absolute); err != nil {
			t.Errorf("run nomad fmt nomad/%s: %v\n%s", folder, err, out)
		}
	}
	order := []string{"count", "shutdown_delay", "constraint", "spread", "update", "restart", "network", "volume", "service", "task"} // or a dynamic one
	for _, file := range jobFiles(t) {
		text := read(t, file)
		if lines := strings.Count(text, "\n"); lines > 240 {
			t.Errorf("%s has %d lines", file, lines)
		}
		if regexp.MustCompile(`\bfile\(`).MatchString(text) {
			t.Errorf("%s reads a file, which Nomad looks for in the folder that it is run in", file)
		}
		last := 0
		for _, found := range regexp.MustCompile(`(?m)^    (?:dynamic ")?(\w+)[ "].*[{0-9"]`).FindAllStringSubmatch(text[strings.Index(text, "  group "):], -1) {
			at := slices.Index(order, found[1])
			if at < last {
				t.Errorf("%s: %s stands after %s", file, found[1], order[last])
			}
			last = max(at, last)
		}
	}
}

// Comments wrap at 100 columns, as in all files.
func TestCommentsOfJobsWrap(t *testing.T) {
	comment := regexp.MustCompile(`(?:^|\s)# `)
	files, err := filepath.Glob("vars/*.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, jobFiles(t)...) {
		for number, line := range strings.Split(read(t, file), "\n") {
			if comment.MatchString(line) && utf8.RuneCountInString(line) > 100 {
				t.Errorf("%s:%d has a comment that ends in column %d", file, number+1, utf8.RuneCountInString(line))
			}
		}
	}
}

func jobFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("jobs/*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	return files
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sorted are the keys of a map.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
