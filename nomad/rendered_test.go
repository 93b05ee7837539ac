package nomad_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// What the tests set the variables of jobs to: nothing that a job has by default.
const (
	prefix      = "prefix-"
	trustDomain = "11111111-2222-3333-4444-555555555555.consul"
	datacenter  = "dc7"
	programs    = "/opt/gatehouse/v7"
	opsNetwork  = "ops"
	publicNet   = "world"
)

// A job is what `nomad job run -output` prints of one, as far as it follows from the contract.
type job struct {
	ID, Namespace string
	TaskGroups    []group
}

type group struct {
	Name          string
	Count         int
	ShutdownDelay int64 // nanoseconds
	Update        struct {
		Canary, MaxParallel     int
		AutoPromote, AutoRevert bool
	}
	Constraints []struct{ Operand string }
	Networks    []struct {
		Mode                        string
		DNS                         *struct{}
		DynamicPorts, ReservedPorts []port
	}
	Services []service
	Tasks    []task
	Volumes  map[string]struct{ Source string }
}

type port struct {
	Label       string
	Value, To   int
	HostNetwork string
}

type service struct {
	Name, PortLabel string
	Meta            map[string]string
	Checks          []struct{ Type, Path, PortLabel string }
	Connect         struct {
		SidecarService struct{ Proxy proxy }
		SidecarTask    struct {
			Driver, User string
			Config       map[string]any
			Resources    *resources
		}
	}
}

type proxy struct {
	LocalServiceAddress string
	LocalServicePort    int
	Config              map[string]any
	Upstreams           []upstream
	Expose              struct {
		Paths []struct {
			Path, ListenerPort string
			LocalPathPort      int
		}
	}
}

type upstream struct {
	DestinationName  string
	LocalBindAddress string
	LocalBindPort    int
	Config           map[string]any
}

type task struct {
	Name, Kind   string
	Driver, User string
	Config       map[string]any
	Env          map[string]string
	Lifecycle    *struct {
		Hook    string
		Sidecar bool
	}
	ShutdownDelay int64 // nanoseconds
	KillTimeout   int64 // nanoseconds
	Resources     *resources
	Artifacts     []artifact
	KillSignal    string
	VolumeMounts  []struct{ Volume, Destination string }
	Templates     []template
	Consul, Vault any
	Identities    []any
}

type artifact struct {
	GetterSource, GetterMode, RelativeDest string
	GetterOptions                          map[string]string
}

type template struct {
	EmbeddedTmpl, DestPath, Perms, ChangeMode string
	UID, GID                                  *int
}

// render reads a job as Nomad does, from another folder than the job's.
func render(t *testing.T, name string) job {
	t.Helper()
	return decode(t, rendered(t, name))
}

// rendered is what Nomad prints, with more lines of variables; the last one may be the environment.
func rendered(t *testing.T, name string, more ...string) string {
	t.Helper()
	variables := filepath.Join(t.TempDir(), "test.hcl")
	lines := slices.Clone(more)
	if len(lines) == 0 || !strings.HasPrefix(lines[len(lines)-1], "environment") {
		lines = append(lines, `environment = { GATEHOUSE_LOG_LEVEL = "debug" }`)
	}
	if err := os.WriteFile(variables, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t, "job", "run", "-output", "-hcl2-strict", "-var", "service_prefix="+prefix, "-var", "trust_domain="+trustDomain,
		"-var", "datacenter="+datacenter, "-var", "programs="+programs, "-var", "ops_network="+opsNetwork, "-var", "public_network="+publicNet,
		"-var-file", variables, file(t, name))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func decode(t *testing.T, out string) job {
	t.Helper()
	var printed struct{ Job job }
	if err := json.Unmarshal([]byte(out), &printed); err != nil {
		t.Fatal(err)
	}
	if len(printed.Job.TaskGroups) != 1 || len(printed.Job.TaskGroups[0].Services) != 1 || len(printed.Job.TaskGroups[0].Networks) != 1 {
		t.Fatalf("%s has not one group with one service and one network", printed.Job.ID)
	}
	return printed.Job
}

// file is the path of a program's job.
func file(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("jobs/" + name + ".nomad.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// command runs nomad without an agent, and returns all that it prints.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := consultest.Find("nomad")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	if program, err = filepath.Abs(program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = t.TempDir(), []string{"NOMAD_ADDR=http://127.0.0.1:1", "HOME=/nonexistent"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// normal is a value as JSON has it, and maps for the lists of one map that HCL makes of them.
func normal(t *testing.T, value any) any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	return unwrap(plain)
}

func unwrap(value any) any {
	switch v := value.(type) {
	case []any:
		if len(v) == 1 {
			if one, ok := v[0].(map[string]any); ok {
				return unwrap(one)
			}
		}
		for i := range v {
			v[i] = unwrap(v[i])
		}
	case map[string]any:
		for name, field := range v {
			var inner any
			if text, ok := field.(string); ok && strings.HasSuffix(name, "_json") && json.Unmarshal([]byte(text), &inner) == nil {
				v[name] = inner
				continue
			}
			v[name] = unwrap(field)
		}
	}
	return value
}

type resources struct{ CPU, MemoryMB int }
