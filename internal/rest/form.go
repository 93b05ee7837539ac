package rest

import (
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/web"
)

// repeatable is the one parameter that a request may have more than once (RFC 8707, section 2).
const repeatable = "resource"

// readForm reads the body of a request to a web exchange: a form, or nothing. The chain has bounded
// its size.
func readForm(r *http.Request) ([]byte, error) {
	if r.ContentLength > 0 || r.ContentLength < 0 && r.Header.Get("Expect") != "" { // see readBody
		if err := formContent(r); err != nil {
			return nil, err
		}
	}
	body, err := readAll(r)
	if err != nil || len(body) == 0 {
		return nil, err
	}
	return body, formContent(r)
}

// formContent refuses a body where there must be none, or that is no form.
func formContent(r *http.Request) error {
	if r.Method != http.MethodPost {
		return apierr.BodyNotAllowed().WithField("", "body.empty", "must be empty")
	}
	kind, params, err := mime.ParseMediaType(strings.Join(r.Header.Values("Content-Type"), ", "))
	charset, hasCharset := params["charset"]
	utf8 := !hasCharset || strings.EqualFold(charset, "utf-8")
	if err != nil || kind != web.FormType || !utf8 || compressed(r.Header) {
		return apierr.UnsupportedMediaType().Saying("the body is not a form").
			WithField("Content-Type", "media_type", "must be "+web.FormType+" in UTF-8, not compressed")
	}
	return nil
}

// checkParameters holds query and body to what OAuth says of both (RFC 6749, sections 3.1 and 3.2):
// names and values can be read, and a parameter comes once. What nobody knows passes.
func checkParameters(query string, body []byte) *apierr.Error {
	seen := map[string]bool{}
	for _, text := range []string{query, string(body)} {
		if text == "" {
			continue
		}
		values, err := url.ParseQuery(text)
		if err != nil || !wellFormed(text, values) {
			return apierr.MalformedQuery().Saying("the parameters are malformed").
				WithField("", "query.syntax", "must be name=value pairs joined by &, percent-encoded UTF-8")
		}
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if name != repeatable && (seen[name] || len(values[name]) > 1) {
				return apierr.DuplicateParameter().Saying("a parameter is repeated").WithField(Echo(name), "unique", "must appear once")
			}
			seen[name] = true
		}
	}
	return nil
}

// wellFormed reports whether the text and all that it says is UTF-8.
func wellFormed(text string, values url.Values) bool {
	for name, all := range values {
		if !utf8.ValidString(name) || slices.ContainsFunc(all, func(v string) bool { return !utf8.ValidString(v) }) {
			return false
		}
	}
	return utf8.ValidString(text)
}
