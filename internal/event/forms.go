package event

import (
	"strings"

	"github.com/google/uuid"
)

// The forms of texts are looked at in loops: each event is checked when it is sealed and whenever it
// is read, and regular expressions were a quarter of reading it.

// isUUID reports whether it is one in lower case, with hyphens.
func isUUID(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil && strings.ToLower(s) == s }

// isAction reports whether it is a dotted name in lower case.
func isAction(s string) bool {
	parts := 0
	for part := range strings.SplitSeq(s, ".") {
		if parts++; !begins(part, lower) {
			return false
		}
	}
	return parts > 1
}

// isReason reports whether it is in UPPER_SNAKE.
func isReason(s string) bool { return begins(s, upper) }

// isHash reports whether it is 32 bytes in base64url.
func isHash(s string) bool {
	for i := range len(s) {
		if c := s[i]; !lower(c) && !upper(c) && !digit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) == 43
}

// begins reports whether s begins with a letter, and goes on with such letters, digits and "_".
func begins(s string, letter func(byte) bool) bool {
	for i := range len(s) {
		if c := s[i]; !letter(c) && (i == 0 || !digit(c) && c != '_') {
			return false
		}
	}
	return s != ""
}

func lower(c byte) bool { return 'a' <= c && c <= 'z' }
func upper(c byte) bool { return 'A' <= c && c <= 'Z' }
func digit(c byte) bool { return '0' <= c && c <= '9' }
