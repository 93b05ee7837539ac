package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// passwords are one for each role of the plan, as lines of a file.
func passwords(t *testing.T) (roles []string, file string) {
	t.Helper()
	var lines strings.Builder
	for _, program := range plan.Of(meshtest.Definition(t)).Programs {
		if program.Database == nil {
			continue
		}
		for _, role := range program.Database.Roles {
			roles = append(roles, role.Name)
			lines.WriteString(database.PasswordVariable(role.Name) + "=pw=" + role.Name + "\n")
		}
	}
	return roles, written(t, lines.String())
}

func written(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the job's task `prepare` does: all passwords are in one file, the superuser's too, and the
// URL names the role alone.
func TestDatabasePrepare(t *testing.T) {
	server, _ := pgtest.Server(t)
	roles, file := passwords(t)
	without := server.URL(pgserver.Superuser, config.Secret{}, "postgres").Reveal()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	all := written(t, string(whole)+"POSTGRES_PASSWORD="+server.Password.Reveal()+"\n")
	for range 2 {
		code, out, problem := run(t, []string{"GATEHOUSE_POSTGRES_URL=" + without}, "database", "prepare", "--passwords", all, "--own-server", "--instances", "6")
		if code != 0 || !strings.Contains(out, "gatehouse has the roles and schemas of") {
			t.Fatalf("%d %q %q", code, out, problem)
		}
		if strings.Contains(out+problem, "pw=") || strings.Contains(out+problem, server.Password.Reveal()) {
			t.Error("it prints a password")
		}
	}
	for _, role := range roles {
		if err := database.Ask(t.Context(), server.URL(role, config.NewSecret("pw="+role), plan.DatabaseName)); err != nil {
			t.Errorf("%s cannot sign in: %v", role, err)
		}
	}
	environ := []string{"GATEHOUSE_POSTGRES_URL_FILE=" + written(t, without+"\n"), "POSTGRES_PASSWORD_FILE=" + written(t, server.Password.Reveal()+"\n"), "AUDIT_PASSWORD=other"}
	if code, _, problem := run(t, environ, "database", "prepare"); code != 0 {
		t.Fatalf("by variables: %s", problem)
	}
	if err := database.Ask(t.Context(), server.URL("audit", config.NewSecret("other"), plan.DatabaseName)); err != nil {
		t.Errorf("the password of a variable: %v", err)
	}
	if err := database.Ask(t.Context(), server.URL("identity", config.NewSecret("pw=identity"), plan.DatabaseName)); err != nil {
		t.Errorf("a role without a variable keeps its password: %v", err)
	}
}

func TestDatabasePrepareRefuses(t *testing.T) {
	server, _ := pgtest.Server(t)
	url := "GATEHOUSE_POSTGRES_URL=" + server.SuperURL("postgres").Reveal()
	open, link := written(t, "IDENTITY_PASSWORD=wrong-4e\n"), filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Chmod(open, 0o640), os.Symlink(written(t, "IDENTITY_PASSWORD=wrong-4e\n"), link)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"passwords for others": {[]string{url}, []string{"--passwords", open}, "is open to others (mode 0640)"},
		"a link to passwords":  {[]string{url}, []string{"--passwords", link}, "is a link"},
		"no server":            {nil, nil, "GATEHOUSE_POSTGRES_URL_FILE"},
		"nobody there":         {[]string{"GATEHOUSE_POSTGRES_URL=postgres://postgres:x@127.0.0.1:1/postgres", "GATEHOUSE_POSTGRES_WAIT=300ms"}, nil, "has not answered for 300ms"},
		"a wrong password":     {[]string{"GATEHOUSE_POSTGRES_URL=" + server.URL("postgres", config.NewSecret("wrong-4e"), "postgres").Reveal()}, nil, "correct the role, its password or the database"},
		"no password":          {[]string{url}, nil, "_PASSWORD_FILE"},
		"no file of passwords": {[]string{url}, []string{"--passwords", "/none"}, "the passwords cannot be read"},
		"a strange line":       {[]string{url}, []string{"--passwords", written(t, "IDENTITY_PASSWORD=x\n# wrong-4e\n")}, "line 2 of "},
		"twice":                {[]string{url, "AUDIT_PASSWORD=x", "AUDIT_PASSWORD_FILE=/x"}, nil, "AUDIT_PASSWORD and AUDIT_PASSWORD_FILE are both set"},
		"a strange name":       {[]string{url}, []string{"--platform", "It's"}, "name of a platform"},
	} {
		code, out, problem := run(t, c.environ, append([]string{"database", "prepare"}, c.args...)...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) || strings.Contains(problem, "wrong-4e") {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}

// What is printed needs no server and no password, and holds none.
func TestDatabasePrintHoldsNoPassword(t *testing.T) {
	roles, _ := passwords(t)
	code, out, problem := run(t, []string{"IDENTITY_PASSWORD=canary-77"}, "database", "prepare", "--print", "--platform", "site")
	if code != 0 || problem != "" || strings.Contains(out, "canary-77") || !strings.Contains(out, "Gatehouse platform site") {
		t.Errorf("%d %q\n%s", code, problem, out)
	}
	for _, role := range roles {
		if want := `\getenv ` + strings.ToLower(database.PasswordVariable(role)) + " " + database.PasswordVariable(role); !strings.Contains(out, want) {
			t.Errorf("it lacks %q", want)
		}
	}
}
