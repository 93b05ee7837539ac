package token

import "strings"

// validScope reports whether a text is a scope of RFC 6749, section 3.3: names of printable ASCII
// without quotes and backslashes, one space between two.
func validScope(scope string) bool {
	for name := range strings.SplitSeq(scope, " ") {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return false
		}
	}
	return true
}

// hasScope reports whether a scope has the name.
func hasScope(scope, name string) bool {
	for had := range strings.SplitSeq(scope, " ") {
		if had == name {
			return true
		}
	}
	return false
}
