package address_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse/gatehouse/internal/address"
)

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Ada@Example.COM": "ada@example.com", "a.d+A@x": "a.d+a@x", "AZ[`{@x": "az[`{@x",
		"\u212A@example.com": "\u212A@example.com", "I\u0130\u0131@x": "i\u0130\u0131@x", "\xff\xfeA": "\xff\xfea",
	} {
		if got := address.Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

// Over all of Unicode two characters become one only where they are the two cases of an ASCII
// letter; what other rules make of them is another address (issue 8, line 16).
func TestNoTwoCharactersBecomeOne(t *testing.T) {
	t.Parallel()
	from := map[string]rune{}
	for r := range rune(utf8.RuneSelf) {
		folded := address.Fold(string(r))
		if other, taken := from[folded]; taken && !(unicode.IsLetter(r) && r-other == 'a'-'A') {
			t.Errorf("%U and %U are both %q", other, r, folded)
		}
		from[folded] = r
	}
	merged := 0 // into ASCII, by the rules that are not ours
	fold := cases.Fold()
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		s := string(r)
		if !utf8.ValidRune(r) {
			continue
		}
		if address.Fold(s) != s {
			t.Errorf("%U becomes %q", r, address.Fold(s))
		}
		if unicode.ToLower(r) < utf8.RuneSelf || !norm.NFKC.IsNormalString(s) && isASCII(fold.String(norm.NFKC.String(s))) {
			merged++
		}
	}
	if merged < 100 {
		t.Errorf("only %d characters are taken for ASCII by other rules", merged)
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
