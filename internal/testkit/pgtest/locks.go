package pgtest

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	sqlComment  = regexp.MustCompile(`(?m)--.*$`)
	makesTable  = regexp.MustCompile(`(?i)create table (\S+)`)
	makesIndex  = regexp.MustCompile(`(?i)create (?:unique )?index .* on (\S+)`)
	altersTable = regexp.MustCompile(`(?i)alter table (\S+)`)
	adds        = regexp.MustCompile(`(?i)add (?:column|constraint)`)
	looksAtRows = regexp.MustCompile(`(?i)\b(check|references|unique)\b`)
	validates   = regexp.MustCompile(`(?i)validate constraint`)
)

// CheckLocks looks for migrations after the one of that name that keep requests waiting while they
// read a table that may be large: an index has to be built concurrently, and a constraint to be
// added as not valid and validated in a later file. Tables that these migrations create are empty
// then.
func CheckLocks(t testing.TB, files fs.FS, after string) {
	t.Helper()
	names, err := fs.Glob(files, "*.sql") // sorted
	if err != nil {
		t.Fatal(err)
	}
	var created []string
	for _, name := range names[slices.Index(names, after)+1:] {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(content), "---- create above / drop below ----")
		statements := strings.Split(sqlComment.ReplaceAllString(up, ""), ";")
		for _, statement := range statements {
			if table := makesTable.FindStringSubmatch(statement); table != nil {
				created = append(created, table[1])
			}
			if waits := locks(statement, created); waits != "" {
				t.Errorf("%s: %s", name, waits)
			}
			if validates.MatchString(statement) && len(statements) > 2 {
				t.Errorf("%s: validates a constraint under the locks of other statements: give it a file of its own", name)
			}
		}
	}
}

// locks says why others wait for a statement, "" when they do not.
func locks(statement string, created []string) string {
	if index := makesIndex.FindStringSubmatch(statement); index != nil {
		if !slices.Contains(created, index[1]) && !strings.Contains(statement, "concurrently") {
			return "builds an index of " + index[1] + " while nobody can write: build it concurrently, in a file of its own"
		}
	}
	table := altersTable.FindStringSubmatch(statement)
	if table == nil || slices.Contains(created, table[1]) {
		return ""
	}
	for _, added := range adds.Split(statement, -1)[1:] {
		if looksAtRows.MatchString(added) && !strings.Contains(added, "not valid") {
			return "reads all of " + table[1] + " while nobody else can: add the constraint as not valid and validate it in a later file"
		}
	}
	return ""
}
