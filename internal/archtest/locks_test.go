package archtest

import (
	"path"
	"regexp"
	"strings"
	"testing"
)

// sharedLock is what takes an advisory lock or listens on a channel of a fixed name.
var sharedLock = regexp.MustCompile(`(?i)pg_(try_)?advisory_\w*lock|"(un)?listen [a-z_]+"|"notify |pg_notify\('`)

// R86: advisory locks and channels are the whole database's. A program locks rows and tables of its
// own schema, and meets its other instances on a channel whose name stands in one.
func TestNoLockIsShared(t *testing.T) {
	files := 0
	eachFile(t, func(name string) bool {
		return (path.Ext(name) == ".sql" || path.Ext(name) == ".go") && !strings.HasSuffix(name, "_test.go")
	}, func(name string, text []byte) {
		files++
		for number, line := range strings.Split(string(text), "\n") {
			if code, _, _ := strings.Cut(line, "// "); sharedLock.MatchString(code) {
				t.Errorf("%s:%d: any role of the database can hold or use this: %s", name, number+1, strings.TrimSpace(line))
			}
		}
	})
	if files < 100 {
		t.Fatalf("only %d files found: the walk looks in the wrong place", files)
	}
}
