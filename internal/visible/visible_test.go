package visible_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/internal/visible"
)

// acts reports whether a terminal may do more with r than show it.
func acts(r rune) bool {
	return unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func TestText(t *testing.T) { // R92
	for text, want := range map[string]string{
		"":                        "",
		"plain, é ❤ 日本":           "plain, é ❤ 日本",
		"a\x1b[2Jb\x00\x7f":       `a\u001b[2Jb\u0000\u007f`,
		"/\u009b31m":              `/\u009b31m`,
		"\u202eeve\u2066\u200fx":  `\u202eeve\u2066\u200fx`,
		"a\u200bb\ufeffc\u00add":  `a\u200bb\ufeffc\u00add`,
		"a\nb\tc\rd\u2028e\u0085": `a\u000ab\u0009c\u000dd\u2028e\u0085`,
		"\U000e0001\u3164":        `\udb40\udc01\u3164`,
		"\x9b31m \xff":            `\ufffd31m \ufffd`,
	} {
		if got := visible.Text(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestWriterKeepsLinesAndCharacters(t *testing.T) {
	var out bytes.Buffer
	w := visible.NewWriter(&out)
	for _, part := range []string{"a\tb\n", "caf\xc3", "\xa9 \xc2", "\x9b31m \xf0\x9f", "\x98\x80 \xc2", "x\r\n"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := "a\tb\ncafé \\u009b31m 😀 \\ufffdx\\u000d\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// Nothing that acts remains of any text, and a line of JSON still says the same.
func FuzzNothingActs(f *testing.F) {
	for _, seed := range []string{"", "a\u009bb", "\x9b", "\u202e\n\t", "\U000e0001", "\\u0041"} {
		f.Add(seed, 1)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		if got := visible.Text(text); strings.ContainsFunc(got, acts) {
			t.Errorf("%q is shown as %q", text, got)
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := visible.NewWriter(&out)
		at = max(0, min(at, len(quoted)))
		for _, part := range [][]byte{quoted[:at], quoted[at:]} {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if strings.ContainsFunc(out.String(), acts) {
			t.Errorf("%q is written as %q", quoted, out.String())
		}
		var again, meant string
		_ = json.Unmarshal(quoted, &meant)
		if err := json.Unmarshal(out.Bytes(), &again); err != nil || again != meant {
			t.Errorf("%q is read as %q (%v)", meant, again, err)
		}
		_, _ = w.Write([]byte(text + "\n"))
		if left := strings.Trim(out.String(), "\n\t"); strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(left), acts) {
			t.Errorf("%q is written as %q", text, left)
		}
	})
}
