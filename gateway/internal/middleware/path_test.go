package middleware

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

// FuzzPlainPath: whatever is let through is read in one way only: cleaning it, or decoding it again, changes nothing.
func FuzzPlainPath(f *testing.F) {
	for _, seed := range []string{"/", "/a/b", "/a//b", "/%2e%2e/a", "/a;b", "/a%2fb", "/a/", "/%61", "/é", "/a%", "/a%00", `/a\b`, "/.a/b."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !unambiguous(u.EscapedPath(), u.Path) {
			return
		}
		if cleaned := path.Clean(u.Path); cleaned != u.Path && cleaned+"/" != u.Path {
			t.Errorf("%q: %q cleans to %q", target, u.Path, cleaned)
		}
		if again, err := url.PathUnescape(u.Path); err != nil || again != u.Path {
			t.Errorf("%q: %q decodes again to %q", target, u.Path, again)
		}
		if strings.Count(u.Path, "/") != strings.Count(u.EscapedPath(), "/") {
			t.Errorf("%q has other segments when decoded: %q", target, u.Path)
		}
		if strings.ContainsAny(u.Path, "\\;%#?\x00\r\n") {
			t.Errorf("%q lets %q through", target, u.Path)
		}
	})
}

// FuzzHeaders: no name that a reader could take for a reserved one is on the list of what arrives.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"X-User-Id", "x_user_id", "Grpc-Metadata-A", "Accept", "Forwarded", "X-Forwarded-For", "X-Request-Id"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		canonical := http.CanonicalHeaderKey(name)
		if allowed(canonical) && reserved(canonical) {
			t.Errorf("%q is both allowed and reserved", canonical)
		}
		if reserved(name) != reserved(canonical) {
			t.Errorf("%q is reserved in one spelling only", name)
		}
		if dashed := strings.ReplaceAll(canonical, "_", "-"); dashed != canonical && !reserved(canonical) {
			t.Errorf("%q has an underscore and is not reserved", canonical)
		}
	})
}
