package password

import (
	_ "embed"
	"strings"
)

// commonList is one password on a line, and comments that begin with #.
//
//go:embed common.txt
var commonList string

// common are the passwords that attackers try first, in lower case and without separators.
func common() map[string]bool {
	words := map[string]bool{}
	for line := range strings.Lines(commonList) {
		if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
			words[bare(strings.ToLower(Normalize(word)))] = true
		}
	}
	return words
}

// isCommon reports whether p is a common password, two of them joined, or one several times, the last
// time possibly cut.
func isCommon(p string) bool {
	words, p := common(), bare(p)
	if words[p] {
		return true
	}
	for i := range p {
		if words[p[:i]] && words[p[i:]] {
			return true
		}
	}
	for i := range p {
		if i > 0 && words[p[:i]] && repeats(p, p[:i]) {
			return true
		}
	}
	return false
}
