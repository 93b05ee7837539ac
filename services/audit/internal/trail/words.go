package trail

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Limits of words.
const (
	longestWord = 48  // characters: of longer ones, these are compared
	mostWords   = 100 // of a value
)

// Words returns what a search finds a text by: from the beginning of each of its words up to the
// next space, in lower case and without accents. A search for a part of that, from its beginning,
// finds the text: "Ada.Lovelace@example.com" by "ada", by "lovelace@ex", by "example.com". The last
// part of a domain is not among them: everybody's is one of few.
func Words(text string) []string {
	var words []string
	for _, chunk := range strings.Fields(folded(text)) {
		before, domain := ' ', false
		chunk = strings.TrimFunc(chunk, unlettered)
		for i, r := range chunk {
			begins := lettered(r) && !lettered(before)
			last := domain && before == '.' && !strings.ContainsFunc(chunk[i:], unlettered)
			if begins && !last {
				words = append(words, cut(chunk[i:]))
			}
			before, domain = r, domain || r == '@'
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	return words[:min(len(words), mostWords)]
}

// Terms returns what a search asks for: each part of the text between spaces, as Words has them.
func Terms(text string) []string {
	var terms []string
	for _, chunk := range strings.Fields(folded(text)) {
		if term := strings.TrimFunc(chunk, unlettered); term != "" {
			terms = append(terms, cut(term))
		}
	}
	slices.Sort(terms)
	return slices.Compact(terms)
}

// WordsOf returns the words of a value in JSON that is a text; none of another one.
func WordsOf(value json.RawMessage) []string {
	if len(value) == 0 || value[0] != '"' {
		return nil
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return nil
	}
	return Words(text)
}

// named reports whether the personal values of an event have all the terms.
func named(e event.Event, terms []string) bool {
	var words []string
	for _, c := range e.Changes {
		if c.Personal {
			words = append(words, WordsOf(c.Value)...)
		}
	}
	for _, term := range terms {
		if !slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, term) }) {
			return false
		}
	}
	return true
}

// folded is a text without what people leave out when they search: capitals, accents, other forms
// of the same letters.
func folded(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r >= unicode.MaxASCII || r == 0 }) {
		return strings.ToLower(text)
	}
	plain, _, err := transform.String(transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn)), norm.NFKC), strings.ToValidUTF8(text, " "))
	if err != nil { // none of the three refuses a text
		return ""
	}
	return strings.ReplaceAll(strings.ToLower(plain), "\x00", " ") // which PostgreSQL does not store
}

func lettered(r rune) bool   { return unicode.IsLetter(r) || unicode.IsDigit(r) }
func unlettered(r rune) bool { return !lettered(r) }

func cut(word string) string {
	n := 0
	for i := range word {
		if n++; n > longestWord {
			return word[:i]
		}
	}
	return word
}
