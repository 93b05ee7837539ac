package httpserver

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
)

const (
	problemContentType = "application/problem+json"
	problemTypeBase    = "https://gatehouse.dev/problems/" // an absolute URI that identifies, not a page that must exist
	statusClientClosed = 499                               // nobody reads it; access logs show it
)

// Bounds of a problem document: an error may repeat what a client sent, and must not make a large
// response of it.
const (
	MaxProblemBytes  = 16 << 10
	maxProblemText   = 256 // characters of one text
	maxProblemErrors = 64
)

// Problem is the body of every error that leaves a program over HTTP (RFC 9457, with three extension members).
type Problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail,omitempty"`
	Instance string         `json:"instance,omitempty"` // "urn:gatehouse:request:<request id>", to quote to support
	Reason   string         `json:"reason"`             // UPPER_SNAKE, stable: clients match on it
	Errors   []ProblemField `json:"errors,omitempty"`   // the first ones, where not all fit
}

// ProblemField is one violated rule of one request field.
type ProblemField struct {
	Field       string `json:"field"`
	Rule        string `json:"rule"`
	Description string `json:"description"`
}

// Status returns the HTTP status of a kind of error.
func Status(kind apierr.Kind) int {
	switch kind {
	case apierr.InvalidArgument, apierr.FailedPrecondition:
		return http.StatusBadRequest
	case apierr.Unauthenticated:
		return http.StatusUnauthorized
	case apierr.PermissionDenied:
		return http.StatusForbidden
	case apierr.NotFound:
		return http.StatusNotFound
	case apierr.AlreadyExists:
		return http.StatusConflict
	case apierr.Aborted:
		return http.StatusPreconditionFailed
	case apierr.ResourceExhausted:
		return http.StatusTooManyRequests
	case apierr.Unavailable:
		return http.StatusServiceUnavailable
	case apierr.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case apierr.Canceled:
		return statusClientClosed
	case apierr.Unimplemented:
		return http.StatusNotImplemented
	case apierr.Internal:
		return http.StatusInternalServerError
	default:
		return http.StatusInternalServerError
	}
}

// WriteProblem answers the request with the error's problem document. Headers that the response
// must have follow from the kind; the cause of the error is not sent.
func WriteProblem(w http.ResponseWriter, r *http.Request, e *apierr.Error) {
	WriteProblemStatus(w, r, Status(e.Kind), e)
}

// ProblemDocument returns the document of an error without a response around it, for a response
// that has begun.
func ProblemDocument(r *http.Request, e *apierr.Error) []byte {
	return encode(problem(r, Status(e.Kind), e))
}

// WriteProblemStatus is WriteProblem for statuses that only HTTP knows, such as 405, 413, 414 and 415.
func WriteProblemStatus(w http.ResponseWriter, r *http.Request, status int, e *apierr.Error) {
	header := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Etag", "Last-Modified"} {
		header.Del(name) // they described the response that is not given
	}
	header.Set("Content-Type", problemContentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusUnauthorized {
		header.Set("Www-Authenticate", challenge(r, e))
	}
	if seconds := retryAfter(status, e.RetryAfter); seconds > 0 {
		header.Set("Retry-After", strconv.Itoa(seconds))
	}
	body := encode(problem(r, status, e))
	header.Set("Content-Length", strconv.Itoa(len(body))) // the client has all of it, whatever is done with the connection afterwards
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) //nolint:gosec // JSON, not HTML; the client is gone when this is refused
	}
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
		Type: problemTypeBase + kebab(e.Reason), Title: title(status), Status: status,
		Detail: Shorten(e.Message, maxProblemText), Reason: e.Reason,
	}
	if id := request.ID(r.Context()); id != "" {
		p.Instance = "urn:gatehouse:request:" + id
	}
	for _, f := range e.Fields[:min(len(e.Fields), maxProblemErrors)] {
		p.Errors = append(p.Errors, ProblemField{
			Field: Shorten(f.Path, maxProblemText), Rule: Shorten(f.Rule, maxProblemText), Description: Shorten(f.Description, maxProblemText),
		})
	}
	return p
}

// challenge says what credential is wanted and, where one was sent, what is wrong with it (RFC 6750 section 3). No text of the request
// or the error is echoed.
func challenge(r *http.Request, e *apierr.Error) string {
	if r.Header.Get("Authorization") == "" {
		return `Bearer realm="gatehouse"`
	}
	switch e.Reason {
	case "INVALID_TOKEN", "TOKEN_EXPIRED", "TOKEN_REVOKED":
		return `Bearer realm="gatehouse", error="invalid_token"`
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

// kebab makes "USER_NOT_FOUND" the last segment of a URI: "user-not-found".
func kebab(reason string) string { return strings.ReplaceAll(strings.ToLower(reason), "_", "-") }
