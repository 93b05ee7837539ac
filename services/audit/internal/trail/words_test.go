package trail_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                              nil,
		"  ... ":                        nil,
		"Ada Lovelace":                  {"ada", "lovelace"},
		"ada.lovelace@mail.example.com": {"ada.lovelace@mail.example.com", "example.com", "lovelace@mail.example.com", "mail.example.com"},
		"ada@localhost":                 {"ada@localhost", "localhost"},
		"<ada@example.com>":             {"ada@example.com", "example.com"},
		"Jean-Luc O’Brien":              {"brien", "jean-luc", "luc", "o’brien"},
		"MÜLLER Straße":                 {"muller", "straße"},
		"Ｆｕｌｌ ﬁ":                        {"fi", "full"},
		"東京 タワー":                        {"タワー", "東京"},
		"a a A":                         {"a"},
		"v1.2":                          {"2", "v1.2"},
		"x\x00y\xffz":                   {"x", "y", "z"},
		strings.Repeat("é", 60):         {strings.Repeat("e", 48)},
	} {
		if got := trail.Words(text); !slices.Equal(got, want) {
			t.Errorf("%q has %q, want %q", text, got, want)
		}
	}
	if got := trail.Words(many(300)); len(got) != 100 {
		t.Errorf("a long text has %d words", len(got))
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("w", 1+i/26%9) + string(rune('a'+i%26)) + " ")
	}
	return b.String()
}

// Whatever of a text people ask for, from the beginning of a word, finds it.
func TestTerms(t *testing.T) {
	for text, want := range map[string][]string{
		"":                   nil,
		" .,- ":              nil,
		"Ada  LOVE":          {"ada", "love"},
		"(ada@example.com),": {"ada@example.com"},
		"Éva éva":            {"eva"},
	} {
		if got := trail.Terms(text); !slices.Equal(got, want) {
			t.Errorf("%q asks for %q, want %q", text, got, want)
		}
	}
}

func FuzzTerms(f *testing.F) {
	f.Add("Ada.Lovelace@example.com", 3)
	f.Add("ǅ İ ﬁ é", 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		words := trail.Words(text)
		for _, word := range words {
			if strings.ContainsAny(word, "\x00 \t\n") || word == "" {
				t.Fatalf("%q has the word %q", text, word)
			}
			part := []rune(word)
			part = part[:1+max(n, 0)%len(part)]
			for _, term := range trail.Terms(string(part)) {
				if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, term) }) {
					t.Fatalf("%q is not found by %q, which asks for %q", text, string(part), term)
				}
			}
		}
	})
}
