package contract

import (
	"regexp"
	"slices"
	"strings"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

var (
	roleForm     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
	fileForm     = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*\.[a-z]{1,10}$`)
	variableForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	platformFile = regexp.MustCompile(`^(consul-|postgres-|platform\.)`)
)

// mostConns is the largest pool that limits of roles count (internal/plan).
const mostConns = 1000

// facts checks what each program needs of who runs it. A name that two programs have, or a program
// and the platform, would hand one the other's data.
func (k *checker) facts() {
	files, roles := map[string]Position{}, map[string]Position{}
	for _, p := range k.contract.Programs {
		roles[strings.ReplaceAll(p.Name, "-", "_")] = inFile(p.file, programName)
	}
	for _, p := range k.contract.Programs {
		options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
		variables := map[string]bool{}
		k.database(p, options.GetDatabase(), roles, variables)
		for i, secret := range options.GetSecrets() {
			k.secret(p, secret, int32(i), files, variables)
		}
	}
}

func (k *checker) database(p Program, d *optionsv1.Database, taken map[string]Position, variables map[string]bool) {
	if d != nil && !slices.Contains(p.Needs, backingName(optionsv1.Backing_BACKING_POSTGRES)) {
		k.report(inFile(p.file, programDatabase), "%s has a database but does not need one: add BACKING_POSTGRES to needs", p.Name)
	}
	for i, schema := range d.GetSchemas() {
		k.role(p, schema, inFile(p.file, programDatabase, databaseSchemas, int32(i)), taken)
	}
	if d.GetOwner() != "" {
		k.role(p, d.GetOwner(), inFile(p.file, programDatabase, databaseOwner), taken)
	}
	for i, pool := range d.GetPools() {
		where := inFile(p.file, programDatabase, databasePools, int32(i))
		k.variable(p, pool.GetVariable(), where, variables)
		if size := pool.GetSize(); size == 0 || size > mostConns {
			k.report(where, "a pool of %s has the size %d: say how many connections it opens at most, from 1 to %d", p.Name, size, mostConns)
		}
	}
}

// role checks the name of a schema or role; roles and schemas of one name belong together.
func (k *checker) role(p Program, name string, where Position, taken map[string]Position) {
	other, twice := taken[name]
	switch {
	case !roleForm.MatchString(name):
		k.report(where, "%q cannot be a schema or role: use lower-case letters, digits and underscores, starting with a letter", name)
	case strings.HasPrefix(name, "pg_") || name == "public" || name == "none" || name == "information_schema" || name == backingName(optionsv1.Backing_BACKING_POSTGRES):
		k.report(where, "%q belongs to PostgreSQL: choose another name", name)
	case twice:
		k.report(where, "%q is taken at %s: choose another name", name, other)
	}
	taken[name] = where
}

func (k *checker) secret(p Program, s *optionsv1.Secret, i int32, taken map[string]Position, variables map[string]bool) {
	where := inFile(p.file, programSecrets, i, secretFile)
	k.secretFile(s.GetFile(), where, taken)
	k.variable(p, s.GetVariable(), inFile(p.file, programSecrets, i, secretVariable), variables)
	if s.GetPrevious() {
		where := inFile(p.file, programSecrets, i, secretPrevious)
		k.secretFile(PreviousFile(s.GetFile()), where, taken)
		k.variable(p, PreviousVariable(s.GetVariable()), where, variables)
	}
	if strings.HasSuffix(s.GetVariable(), "_FILE") {
		k.report(inFile(p.file, programSecrets, i, secretVariable), "%s names the file, not the secret: leave _FILE out", s.GetVariable())
	}
	if _, known := optionsv1.Secret_Kind_name[int32(s.GetKind())]; !known || s.GetKind() == optionsv1.Secret_KIND_UNSPECIFIED {
		k.report(inFile(p.file, programSecrets, i), "the secret %q has no kind: say KIND_KEY or KIND_PASSWORD", s.GetFile())
	}
}

func (k *checker) secretFile(file string, where Position, taken map[string]Position) {
	switch other, twice := taken[file]; {
	case !fileForm.MatchString(file):
		k.report(where, "%q cannot be the file of a secret: use lower-case words joined by hyphens and one suffix, such as billing-signing.key", file)
	case platformFile.MatchString(file):
		k.report(where, "the file %q belongs to the platform: choose another name", file)
	case twice:
		k.report(where, "the file %q is taken at %s: choose another name", file, other)
	}
	taken[file] = where
}

// variable checks that a program sets each of its variables once, and none of another program's.
func (k *checker) variable(p Program, name string, where Position, seen map[string]bool) {
	own := area(p)
	if !variableForm.MatchString(name) || !strings.HasPrefix(name, own) {
		k.report(where, "%q is not a variable of %s: begin it with %s", name, p.Name, own)
	}
	for _, other := range k.contract.Programs {
		if theirs := area(other); len(theirs) > len(own) && strings.HasPrefix(name, theirs) {
			k.report(where, "%q is a variable of %s: choose another name", name, other.Name)
		}
	}
	if seen[name] {
		k.report(where, "%s sets %s twice: keep one", p.Name, name)
	}
	seen[name] = true
}

// area is what the variables of a program begin with.
func area(p Program) string {
	return "GATEHOUSE_" + strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) + "_"
}
