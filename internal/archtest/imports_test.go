package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/programs"
)

const module = "github.com/gatehouse/gatehouse/"

// adapters are the packages of a service that face outwards: wiring, its own API, its database, its
// engine, what speaks HTTP with browsers and OAuth clients, and the clients of other programs,
// which are named after them.
var adapters = regexp.MustCompile(`^services/[^/]+/internal/(app|api|openid|pages|postgres|fga|` + strings.Join(programs.Names(), "|") + `)(/|$)`)

// rule says which packages may not depend on which others.
type rule struct {
	name    string
	who     *regexp.Regexp // import paths below the module that the rule is about
	except  *regexp.Regexp // of these; nil for none
	refused []string       // prefixes of import paths; one path alone where it ends with $
	admits  *regexp.Regexp // import paths that are not refused all the same; nil for none
	direct  bool           // only the package's own imports count, not those of what it imports
	tests   bool           // those of its tests count too
}

var rules = []rule{
	{
		name:   "a domain package depends on no driver, transport, framework or generated code",
		who:    regexp.MustCompile(`^services/[^/]+/internal/`),
		except: adapters,
		refused: []string{"github.com/jackc/", "google.golang.org/grpc", "google.golang.org/protobuf", module + "proto/",
			"go.uber.org/fx", "github.com/hashicorp/"},
		admits: regexp.MustCompile(`^` + module + `proto/gen/go/gatehouse/[^/]+/v1/reason$`), // links apierr only
	},
	{
		name:    "the kernel depends on no program",
		who:     regexp.MustCompile(`^internal/`),
		refused: []string{module + "services/", module + "gateway/", module + "cmd/"},
	},
	{
		name:    "the kernel imports generated service code only in internal/client",
		who:     regexp.MustCompile(`^internal/`),
		except:  regexp.MustCompile(`^internal/client(/|$)`),
		refused: serviceCode(),
		direct:  true,
	},
	{
		name:    "fx is imported only in cmd, internal/app and internal/fxmod",
		who:     regexp.MustCompile(`^`),
		except:  regexp.MustCompile(`(^|/)(cmd/[^/]+|internal/app|internal/fxmod(/service)?|test/probe)$`),
		refused: []string{"go.uber.org/fx"},
		direct:  true,
		tests:   true,
	},
	{
		name:    "a program depends on no other program",
		who:     regexp.MustCompile(`^gateway/`),
		refused: []string{module + "services/", module + "cmd/"},
	},
	{
		name:    "the definition of the mesh and the plan are data: no registry, no processes",
		who:     regexp.MustCompile(`^internal/(mesh|plan)$`),
		refused: []string{"github.com/hashicorp/", "os/exec", module + "internal/registry"},
	},
	{
		name:    "the gateway links no database driver and no migrations",
		who:     regexp.MustCompile(`^gateway/(cmd|internal/(app|middleware|openapi|upstream))(/|$)`),
		refused: []string{"github.com/jackc/"},
	},
	{ // not through others: uuid reads itself from database/sql, and apierr's statuses have names in net/http
		name:    "a domain package imports no transport and no driver of the standard library",
		who:     regexp.MustCompile(`^services/[^/]+/internal/`),
		except:  adapters,
		refused: []string{"database/sql", "net/http"},
		direct:  true,
	},
	{ // log/slog; crypto/rand or math/rand/v2; io and os; google.golang.org/protobuf
		name:    "one library for each thing",
		who:     regexp.MustCompile(`^`),
		refused: []string{"log$", "math/rand$", "io/ioutil", "github.com/golang/protobuf"},
		direct:  true,
		tests:   true,
	},
}

// serviceCode is the generated code of programs, but for the list of their names.
func serviceCode() []string {
	const generated = module + "proto/gen/go/gatehouse/"
	refused := []string{generated + "contracts", generated + "routes"}
	for _, name := range programs.Names() {
		refused = append(refused, generated+name+"/")
	}
	return refused
}

// pkg is what `go list` tells of a package; test files are apart.
type pkg struct {
	ImportPath    string
	Imports, Deps []string

	TestImports, XTestImports []string
}

// violations are the dependencies of p that the rule refuses, one for each refused prefix.
func (r rule) violations(p pkg) []string {
	path := strings.TrimPrefix(p.ImportPath, module)
	if !r.who.MatchString(path) || (r.except != nil && r.except.MatchString(path)) {
		return nil
	}
	imported := p.Deps
	if r.direct {
		imported = p.Imports
	}
	if r.tests {
		imported = slices.Concat(imported, p.TestImports, p.XTestImports)
	}
	var found []string
	for _, refused := range r.refused {
		alone, exact := strings.CutSuffix(refused, "$")
		folder := strings.TrimSuffix(refused, "/") + "/"
		if i := slices.IndexFunc(imported, func(dep string) bool {
			return (dep == alone || !exact && strings.HasPrefix(dep+"/", folder)) && (r.admits == nil || !r.admits.MatchString(dep))
		}); i >= 0 {
			found = append(found, imported[i])
		}
	}
	return found
}

func TestImports(t *testing.T) {
	packages := list(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, p := range packages {
				if found := r.violations(p); len(found) > 0 {
					t.Errorf("%s depends on %s", strings.TrimPrefix(p.ImportPath, module), strings.Join(found, ", "))
				}
			}
		})
	}
}

// The control: each rule refuses what it is for, and only where it is meant to.
func TestRulesFindViolations(t *testing.T) {
	cases := []struct {
		rule         int
		path, dep    string
		wantFindings int
	}{
		{0, "services/identity/internal/user", "github.com/jackc/pgx/v5", 1},
		{0, "services/identity/internal/user/usertest", "google.golang.org/grpc/codes", 1},
		{0, "services/identity/internal/postgres", "github.com/jackc/pgx/v5", 0},
		{0, "services/identity/internal/user", "github.com/jackcx/other", 0},
		{0, "services/identity/internal/user", module + "proto/gen/go/gatehouse/identity/v1", 1},
		{0, "services/identity/internal/user", module + "proto/gen/go/gatehouse/identity/v1/reason", 0},
		{1, "internal/pg", module + "services/auth/internal/login", 1},
		{2, "internal/token", module + "proto/gen/go/gatehouse/auth/v1", 1},
		{2, "internal/client", module + "proto/gen/go/gatehouse/auth/v1", 0},
		{2, "internal/contract", module + "proto/gen/go/gatehouse/options/v1", 0},
		{2, "internal/config", module + "proto/gen/go/gatehouse/programs", 0},
		{2, "internal/config", module + "proto/gen/go/gatehouse/contracts", 1},
		{3, "services/auth/internal/api", "go.uber.org/fx", 1},
		{3, "services/auth/internal/app", "go.uber.org/fx", 0},
		{3, "internal/fxmod", "go.uber.org/fx", 0},
		{3, "internal/fxmod/service", "go.uber.org/fx", 0},
		{4, "gateway/internal/middleware", module + "services/auth/internal/app", 1},
		{7, "services/identity/internal/user", "net/http", 1},
		{7, "services/identity/internal/authz", "net/http", 0},
		{8, "internal/pg", "log", 1},
		{8, "internal/pg", "log/slog", 0},
		{8, "internal/pg", "math/rand", 1},
		{8, "internal/pg", "math/rand/v2", 0},
		{8, "internal/pg", "github.com/golang/protobuf/proto", 1},
		{5, "internal/mesh", "github.com/hashicorp/consul/api", 1},
		{5, "internal/registry", "github.com/hashicorp/consul/api", 0},
		{6, "gateway/cmd/gateway", "github.com/jackc/tern/v2/migrate", 1},
		{6, "services/auth/cmd/auth", "github.com/jackc/pgx/v5", 0},
	}
	for _, c := range cases {
		p := pkg{ImportPath: module + c.path, Imports: []string{c.dep}, Deps: []string{c.dep}}
		if got := rules[c.rule].violations(p); len(got) != c.wantFindings {
			t.Errorf("%q: %s importing %s: findings %v, want %d", rules[c.rule].name, c.path, c.dep, got, c.wantFindings)
		}
	}
}

// list is every package of the module.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports,Deps", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages: the rules would hold of nothing", len(packages))
	}
	return packages
}
