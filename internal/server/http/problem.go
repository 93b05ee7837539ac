package httpserver

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

const (
	problemContentType = "application/problem+json"
	statusClientClosed = 499 // nobody reads it; access logs show it
)

// Bounds of a problem document: an error may repeat what a client sent, and must not make a large
// response of it.
const (
	MaxProblemBytes  = 16 << 10
	maxProblemText   = 256 // characters of one text
	maxProblemErrors = 64
)

// Problem is the body of every error that leaves a program over HTTP (RFC 9457, with four extension
// members).
type Problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail,omitempty"`
	Instance string         `json:"instance,omitempty"` // "urn:gatehouse:request:<request id>", to quote to support
	Reason   string         `json:"reason"`             // UPPER_SNAKE, stable: clients match on it
	Subject  string         `json:"subject,omitempty"`  // what the failed precondition or the limit is about
	Errors   []ProblemField `json:"errors,omitempty"`   // the first ones, where not all fit

	// Violations is how many errors there are, where Errors has the first of them only.
	Violations int `json:"violations,omitempty"`
}

// ProblemField is one violated rule of one request field.
type ProblemField struct {
	Field       string `json:"field"`
	Rule        string `json:"rule"`
	Description string `json:"description"`
}

// WriteProblem answers the request with the error's problem document.
func WriteProblem(w http.ResponseWriter, r *http.Request, e *apierr.Error) {
	WriteError(w, r, e, problemContentType, encode(problem(r, e.Status(), e)))
}

// WriteError answers the request with an error in any form. Headers that the response must have
// follow from the status; the cause of the error is not sent.
func WriteError(w http.ResponseWriter, r *http.Request, e *apierr.Error, contentType string, body []byte) {
	status := e.Status()
	header := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Etag", "Last-Modified"} {
		header.Del(name) // they described the response that is not given
	}
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusUnauthorized {
		header.Set("Www-Authenticate", challenge(r, e))
	}
	if seconds := retryAfter(status, e.RetryAfter); seconds > 0 {
		header.Set("Retry-After", strconv.Itoa(seconds))
	}
	header.Set("Content-Length", strconv.Itoa(len(body))) // the client has all of it, whatever is done with the connection afterwards
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // whoever made it has escaped it; the client is gone when this is refused
	}
}

// ProblemDocument returns the document of an error without a response around it, for a response
// that has begun.
func ProblemDocument(r *http.Request, e *apierr.Error) []byte {
	return encode(problem(r, e.Status(), e))
}

// encode writes the document, with as many of its errors as fit into MaxProblemBytes. One always fits.
func encode(p Problem) []byte {
	for {
		body, err := json.Marshal(p)
		switch {
		case err != nil: // strings and integers always marshal
			return []byte("{}\n")
		case len(body) < MaxProblemBytes || len(p.Errors) == 0:
			return append(body, '\n')
		}
		p.Violations = max(p.Violations, len(p.Errors))
		p.Errors = p.Errors[:len(p.Errors)/2]
	}
}

// Shorten cuts a text to so many characters, the last of which then is an ellipsis.
func Shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	count, kept := 0, 0
	for i := range text {
		switch count {
		case most - 1:
			kept = i
		case most:
			return text[:kept] + "…"
		}
		count++
	}
	return text
}

func problem(r *http.Request, status int, e *apierr.Error) Problem {
	p := Problem{
		Type: apierr.TypeBase + apierr.Slug(e.Reason), Title: title(status), Status: status,
		Detail: Shorten(e.Message, maxProblemText), Reason: e.Reason,
		Subject: Shorten(e.Subject, maxProblemText),
	}
	if id := request.ID(r.Context()); id != "" {
		p.Instance = "urn:gatehouse:request:" + id
	}
	for _, f := range e.Fields[:min(len(e.Fields), maxProblemErrors)] {
		p.Errors = append(p.Errors, ProblemField{
			Field: Shorten(f.Path, maxProblemText), Rule: Shorten(f.Rule, maxProblemText), Description: Shorten(f.Description, maxProblemText),
		})
	}
	if all := max(len(e.Fields), e.Violations); all > len(p.Errors) {
		p.Violations = all
	}
	return p
}

// challenge says what credential is wanted and, where one was sent, what is wrong with it (RFC
// 6750, section 3) or how old the sign-in may be (RFC 9470, section 3). No text of the request or
// the error is echoed.
func challenge(r *http.Request, e *apierr.Error) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="gatehouse"`
	}
	switch e.Reason {
	case apierr.InvalidToken().Reason, apierr.TokenExpired().Reason, apierr.TokenRevoked().Reason:
		return `Bearer realm="gatehouse", error="invalid_token"`
	case apierr.FreshSignInRequired().Reason:
		return fmt.Sprintf(`Bearer realm="gatehouse", error="insufficient_user_authentication", max_age="%d"`, int(token.FreshFor/time.Second))
	default:
		return `Bearer realm="gatehouse"`
	}
}

// retryAfter returns whole seconds, rounded up; answers that invite a retry always say when.
func retryAfter(status int, after time.Duration) int {
	if after > 0 {
		return int(math.Ceil(after.Seconds()))
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		return 1
	}
	return 0
}

func title(status int) string {
	if status == statusClientClosed {
		return "Client Closed Request"
	}
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Error"
}
