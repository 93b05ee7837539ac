package pages_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

func contains(page, text string) bool { return strings.Contains(page, text) }

// record shows a page that needs nothing of its request.
func record(show func(http.ResponseWriter, *http.Request)) answer {
	w := httptest.NewRecorder()
	show(w, httptest.NewRequest(http.MethodGet, "/oauth2/authorize", nil))
	return answer{w, w.Body.String()}
}

// R26: nothing is loaded, no script runs, nobody frames, the style is the one that the policy
// names, and a page is kept nowhere.
func TestHeadersOfPages(t *testing.T) {
	w := newWorld(t, 100)
	a := w.browser().get(t, "/sign-in")
	policy := a.Header().Get("Content-Security-Policy")
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(a.page)
	if style == nil {
		t.Fatal("no style")
	}
	hash := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; img-src data:; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
	if policy != want {
		t.Errorf("the policy is\n%s, want\n%s", policy, want)
	}
	for name, want := range map[string]string{
		"Cross-Origin-Opener-Policy": "same-origin", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		"Content-Type": "text/html; charset=utf-8", "Vary": "Accept-Language, Cookie", "Content-Language": "en",
	} {
		if got := a.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// isStrict checks what holds of every page: the policy that allows nothing beside the one style, no
// script, nothing from elsewhere, no title that is not there in the language of the page.
func (a answer) isStrict(t *testing.T) {
	t.Helper()
	if a.page == "" {
		return
	}
	policy := a.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.HasSuffix(policy, "; base-uri 'none'; object-src 'none'; frame-ancestors 'none'") ||
		strings.Contains(policy, "unsafe") || a.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("its policy is %q, kept: %q", policy, a.Header().Get("Cache-Control"))
	}
	page := strings.ReplaceAll(a.page, "xmlns='http://www.w3.org/2000/svg'", "")
	for _, refused := range []string{"<script", " style=", " onclick", "http://", "//cdn", "%!", "javascript:", "ZgotmplZ"} {
		if strings.Contains(page, refused) {
			t.Errorf("it has %q:\n%s", refused, a.page)
		}
	}
}

func TestLanguages(t *testing.T) {
	w := newWorld(t, 100)
	for accept, lang := range map[string]string{
		"": "en", "en-GB,en;q=0.9": "en", "de": "de", "de-AT,de;q=0.9,en;q=0.8": "de", "fr,de;q=0.5,en;q=0.4": "de", "fr": "en", "*": "en",
		"en;q=0.1,de;q=0.2": "de", "%%%": "en", strings.Repeat("x-", 5000): "en",
	} {
		b := w.browser()
		b.header.Set("Accept-Language", accept)
		a := b.get(t, "/sign-in")
		if title := map[string]string{"en": "Sign in", "de": "Anmelden"}[lang]; !contains(a.page, `<html lang="`+lang+`">`) || !contains(a.page, "<h1>"+title+"</h1>") {
			t.Errorf("%.40q gets\n%s", accept, a.page)
		}
	}
}

// Both languages say the same things, with the same values in them, and nothing that no page says.
func TestCatalogsAreComplete(t *testing.T) {
	read := func(lang string) map[string]string {
		raw, err := os.ReadFile("texts/" + lang + ".json")
		var c map[string]string
		if err == nil {
			err = json.Unmarshal(raw, &c)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	en, de := read("en"), read("de")
	verbs := regexp.MustCompile(`%[a-z]`)
	for key, text := range en {
		if strings.Join(verbs.FindAllString(text, -1), " ") != strings.Join(verbs.FindAllString(de[key], -1), " ") || de[key] == "" || text == "" {
			t.Errorf("%s is %q and %q", key, text, de[key])
		}
	}
	if len(de) != len(en) {
		t.Errorf("%d texts in English and %d in German", len(en), len(de))
	}
	used := map[string]bool{}
	for _, name := range sources(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range regexp.MustCompile(`"([a-z_]+(?:\.[a-z_]+)?)"`).FindAllStringSubmatch(string(text), -1) {
			used[key[1]] = true
		}
		for _, said := range regexp.MustCompile(`(?:\.say\(|\{\{-? ?t |\(t )"([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			if en[said[1]] == "" {
				t.Errorf("%s says %q, which is in no catalog", name, said[1])
			}
		}
	}
	for key := range en {
		if !used[key] {
			t.Errorf("no page says %s", key)
		}
	}
}

// sources are the files that say texts.
func sources(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, folder := range []string{".", "templates"} {
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".html") || strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
				names = append(names, folder+"/"+e.Name())
			}
		}
	}
	return names
}
