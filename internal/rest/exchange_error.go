package rest

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

// writeOAuthError answers a program that came to a web exchange (RFC 6749, section 5.2): OAuth
// libraries read no problem documents. The status stays that of the error.
func writeOAuthError(w http.ResponseWriter, r *http.Request, e *apierr.Error) {
	body, err := json.Marshal(struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{oauthCode(e), descriptive(e.Message)})
	if err != nil { // strings always marshal
		body = []byte("{}")
	}
	w.Header().Set("Pragma", "no-cache")
	httpserver.WriteError(w, r, e, "application/json", append(body, '\n'))
}

// oauthCode is the error in OAuth's words. Those of section 4.1.2.1 for a server that cannot answer
// now are used at other endpoints, too.
func oauthCode(e *apierr.Error) string {
	switch status := e.Status(); {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return "temporarily_unavailable"
	case status >= http.StatusInternalServerError:
		return "server_error"
	case status == http.StatusForbidden:
		return "access_denied"
	default:
		return "invalid_request"
	}
}

// descriptive is a text in the characters that an error_description may have.
func descriptive(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			return '\''
		}
		return c
	}, text)
}

// errorPage is the page of an error that the door answers with by itself. It needs no style, script
// or image: the policy of every response (SecurityHeaders) admits none.
func errorPage() *template.Template {
	return template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Title}}</title>
<h1>{{.Title}}</h1>
<p>{{.Message}}</p>
{{with .Request}}<p>Request {{.}}</p>
{{end}}</html>
`))
}

// writeErrorPage answers a person who came to a web exchange.
func writeErrorPage(w http.ResponseWriter, r *http.Request, e *apierr.Error) {
	var page strings.Builder
	if err := errorPage().Execute(&page, struct{ Title, Message, Request string }{
		http.StatusText(e.Status()), e.Message, request.ID(r.Context()),
	}); err != nil { // a builder takes everything
		page.Reset()
	}
	httpserver.WriteError(w, r, e, "text/html; charset=utf-8", []byte(page.String()))
}
