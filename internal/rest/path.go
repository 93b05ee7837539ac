package rest

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// plainPath refuses a path that two programs could read differently (R56).
func plainPath() Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Opaque == "" && unambiguous(r.URL.EscapedPath(), r.URL.Path) {
				next.ServeHTTP(w, r)
				return
			}
			Fail(w, r, apierr.AmbiguousPath().
				WithField("", "path.plain", "must have no empty, '.' or '..' segment, backslash, semicolon, control or encoded separator"))
		})
	}
}

// unambiguous reports whether every reader sees the same segments: raw is the path as sent, path is it decoded.
func unambiguous(raw, path string) bool {
	if !strings.HasPrefix(raw, "/") || !utf8.ValidString(path) {
		return false
	}
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c <= ' ' || c >= 0x7f, c == '\\', c == ';', c == '#', c == '?':
			return false
		case c == '%' && !harmlessEscape(raw[i:]):
			return false
		}
	}
	if raw == "/" {
		return true
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		if segment == "." || segment == ".." || (segment == "" && !last) {
			return false
		}
	}
	return true
}

// harmlessEscape reports whether the text starts with %XX of a byte that means nothing to a path.
func harmlessEscape(text string) bool {
	if len(text) < 3 {
		return false
	}
	high, ok1 := hexDigit(text[1])
	low, ok2 := hexDigit(text[2])
	c := high<<4 | low
	switch {
	case !ok1 || !ok2, c < ' ', c == 0x7f:
		return false
	}
	return !strings.ContainsRune(`/\%;.#?`, rune(c))
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
