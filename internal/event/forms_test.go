package event

import (
	"regexp"
	"strings"
	"testing"
)

// The loops take what these expressions match.
func FuzzForms(f *testing.F) {
	forms := map[*regexp.Regexp]func(string) bool{
		regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`): isUUID,
		regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$`):       isAction,
		regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`):                           isReason,
		regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`):                         isHash,
	}
	for _, s := range []string{
		"", "a", "a.b", "a.b.c_1", "a..b", ".a.b", "a.b.", "a.1b", "a._b", "a.B", "a.b\n", "A", "A_1", "1A", "_A", "Ab", "A\n",
		"0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11", "0192F0C1-2f6e-7c3a-9d55-0b8a4f3c2e11", "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e1g",
		"0192f0c12f6e-7c3a-9d55-0b8a4f3c2e111", "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11\n", strings.Repeat("-", 36), strings.Repeat("0", 36),
		strings.Repeat("aZ9-_", 8) + "abc", strings.Repeat("a", 42), strings.Repeat("a", 42) + "\n", strings.Repeat("a", 42) + "=",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for form, is := range forms {
			if is(s) != form.MatchString(s) {
				t.Errorf("%q is %t, and %s says %t", s, is(s), form, !is(s))
			}
		}
	})
}
