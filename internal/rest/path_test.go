package rest

import (
	"net/url"
	"os"
	"path"
	"slices"
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

// The names that are refused are documented, all and no other.
func TestReservedHeadersAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "<!-- reserved:begin -->")
	list, _, closed := strings.Cut(after, "<!-- reserved:end -->")
	if !ok || !closed {
		t.Fatal("docs/architecture/gateway.md has no list between <!-- reserved:begin --> and <!-- reserved:end -->")
	}
	var documented []string
	for i, part := range strings.Split(list, "`") {
		if i%2 == 1 {
			documented = append(documented, strings.ToLower(part))
		}
	}
	want := reservedNames()
	for _, prefix := range reservedPrefixes() {
		want = append(want, prefix+"*")
	}
	slices.Sort(documented)
	slices.Sort(want)
	if !slices.Equal(documented, want) {
		t.Errorf("documented are %q, refused %q", documented, want)
	}
}
