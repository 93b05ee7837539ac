package openid

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxForm is the most bytes that a form may have.
const maxForm = 64 << 10

// mayRepeat is the one parameter that may come more than once (RFC 8707, section 2); all others are
// refused then (RFC 6749, section 3.1 and 3.2).
const mayRepeat = "resource"

// errMalformed is what cannot be read as parameters.
var errMalformed = errors.New("malformed parameters")

// parameters reads what a query or a form says. A parameter without a value counts as left out
// (RFC 6749, section 3.1). repeated is the first one that came twice, in no order; its values are
// left out.
func parameters(text string) (values url.Values, repeated []string, err error) {
	values, err = url.ParseQuery(text)
	if err != nil {
		return nil, nil, errMalformed
	}
	for name, all := range values {
		for _, v := range append(all, name) {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return nil, nil, errMalformed
			}
		}
		switch {
		case len(all) > 1 && name != mayRepeat:
			repeated = append(repeated, name)
			values.Del(name)
		case all[0] == "":
			values.Del(name)
		}
	}
	return values, repeated, nil
}

// postedForm reads the form of a request that must be a POST of one, with nothing in its URL: a
// secret there would be in every log on its way (RFC 6749, section 2.3.1).
func postedForm(r *http.Request) (url.Values, error) {
	if r.Method != http.MethodPost {
		return nil, invalidRequest("the method must be POST")
	}
	if r.URL.RawQuery != "" {
		return nil, invalidRequest("parameters belong into the body, not into the URL")
	}
	return readForm(r)
}

// readForm reads the form in a body, which must be one.
func readForm(r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" || len(r.Header.Values("Content-Type")) != 1 {
		return nil, invalidRequest("the body must be of the type application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm+1))
	if err != nil {
		return nil, invalidRequest("the body cannot be read")
	}
	if len(body) > maxForm {
		return nil, invalidRequest("the body is too large")
	}
	form, repeated, err := parameters(string(body))
	switch {
	case err != nil:
		return nil, invalidRequest("the body is not a well-formed form")
	case len(repeated) > 0:
		return nil, invalidRequest("a parameter is repeated")
	}
	return form, nil
}

// answerJSON answers with a document that nobody keeps (RFC 6749, section 5.1).
func answerJSON(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil { // no document here has a value that cannot be written
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	noStore(w)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // who has gone needs no answer
}

// noStore says that an answer is for whoever asked, once.
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// seeOther sends a browser on. It is 303, never 307, which would have the browser repeat a POST
// elsewhere, with what the person typed (R34; RFC 9700, section 4.12).
func seeOther(w http.ResponseWriter, location string) {
	noStore(w)
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}
