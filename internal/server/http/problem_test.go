package httpserver_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

func write(t *testing.T, method, authorization string, e *apierr.Error) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(request.WithID(t.Context(), "req-1"), method, "/x", nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	w.Header().Set("ETag", `"1"`)
	w.Header().Set("Content-Encoding", "gzip")
	httpserver.WriteProblem(w, r, e)
	return w.Result()
}

// R60: every kind of error is a problem document whose status is the HTTP status.
func TestEveryKindIsAProblemDocument(t *testing.T) {
	statuses := map[apierr.Kind]int{
		apierr.Internal: 500, apierr.InvalidArgument: 400, apierr.Unauthenticated: 401, apierr.PermissionDenied: 403,
		apierr.NotFound: 404, apierr.AlreadyExists: 409, apierr.FailedPrecondition: 400, apierr.Aborted: 412,
		apierr.ResourceExhausted: 429, apierr.Unavailable: 503, apierr.DeadlineExceeded: 504, apierr.Canceled: 499,
		apierr.Unimplemented: 501, apierr.Kind(99): 500,
	}
	for kind, status := range statuses {
		res := write(t, http.MethodGet, "", apierr.New(kind, "SOME_REASON", "public text").Because(errors.New("canary-cause")))
		var p httpserver.Problem
		decoder := json.NewDecoder(res.Body)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != status || p.Status != status || kind.HTTPStatus() != status {
			t.Errorf("kind %d: HTTP %d, body %d, want %d", kind, res.StatusCode, p.Status, status)
		}
		if u, err := url.Parse(p.Type); err != nil || !u.IsAbs() || !strings.HasSuffix(p.Type, "/some-reason") {
			t.Errorf("type %q", p.Type)
		}
		if p.Title == "" || p.Detail != "public text" || p.Reason != "SOME_REASON" || p.Instance != "urn:gatehouse:request:req-1" {
			t.Errorf("problem %+v", p)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"ETag": "", "Content-Encoding": "",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("kind %d: %s: %q, want %q", kind, name, got, want)
			}
		}
	}
}

// A reason may have another status than its kind (R60), and a document names what it is about, and
// how many fields were refused where not all are named.
func TestProblemOfAReason(t *testing.T) {
	e := apierr.BodyTooLarge().About("body")
	for range 100 {
		e = e.WithField("f", "r", "d")
	}
	res := write(t, http.MethodPost, "", e)
	var p httpserver.Problem
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 413 || p.Status != 413 || p.Subject != "body" || len(p.Errors) == 0 || len(p.Errors) == 100 || p.Violations != 100 {
		t.Errorf("HTTP %d, %+v", res.StatusCode, p)
	}
}

func TestTheCauseIsNotSent(t *testing.T) {
	w := httptest.NewRecorder()
	cause := errors.New("dial tcp db.internal:5432: canary-cause")
	httpserver.WriteProblem(w, httptest.NewRequest(http.MethodGet, "/", nil), apierr.From(cause))
	if body := w.Body.String(); strings.Contains(body, "canary") || strings.Contains(body, "db.internal") {
		t.Errorf("the cause is in %s", body)
	}
}

func TestFieldsNameTheRule(t *testing.T) {
	e := apierr.New(apierr.InvalidArgument, "INVALID_REQUEST", "x").WithField("user.display_name", "string.max_len", "at most 200 characters")
	var body struct {
		Errors []map[string]string `json:"errors"`
	}
	if err := json.NewDecoder(write(t, http.MethodPost, "", e).Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if len(body.Errors) != 1 || body.Errors[0]["field"] != "user.display_name" || body.Errors[0]["rule"] != "string.max_len" || body.Errors[0]["description"] == "" {
		t.Errorf("errors %v", body.Errors)
	}
}

func TestUnauthenticatedIsAChallenge(t *testing.T) {
	for name, c := range map[string]struct{ authorization, reason, want string }{
		"no credential":      {"", "MISSING_TOKEN", `Bearer realm="gatehouse"`},
		"bad token":          {"Bearer x", "INVALID_TOKEN", `Bearer realm="gatehouse", error="invalid_token"`},
		"expired token":      {"Bearer x", "TOKEN_EXPIRED", `Bearer realm="gatehouse", error="invalid_token"`},
		"old sign-in":        {"Bearer x", "FRESH_SIGN_IN_REQUIRED", `Bearer realm="gatehouse", error="insufficient_user_authentication", max_age="300"`}, // R17
		"password sign-in":   {"", "INVALID_CREDENTIALS", `Bearer realm="gatehouse"`},
		"nothing is echoed":  {"Bearer \"evil", "EVIL\"", `Bearer realm="gatehouse"`},
		"text is not echoed": {"Bearer x", "INVALID_TOKEN", `Bearer realm="gatehouse", error="invalid_token"`},
	} {
		res := write(t, http.MethodGet, c.authorization, apierr.New(apierr.Unauthenticated, c.reason, "evil\" text"))
		if got := res.Header.Get("Www-Authenticate"); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got := write(t, http.MethodGet, "", apierr.New(apierr.PermissionDenied, "X", "x")).Header.Get("Www-Authenticate"); got != "" {
		t.Errorf("403 carries a challenge: %s", got)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		err  *apierr.Error
		want string
	}{
		{apierr.New(apierr.ResourceExhausted, "X", "x").WithRetryAfter(1500 * time.Millisecond), "2"},
		{apierr.New(apierr.ResourceExhausted, "X", "x"), "1"},
		{apierr.New(apierr.Unavailable, "X", "x").WithRetryAfter(time.Minute), "60"},
		{apierr.New(apierr.Unavailable, "X", "x"), "1"},
		{apierr.New(apierr.NotFound, "X", "x"), ""},
	} {
		if got := write(t, http.MethodGet, "", c.err).Header.Get("Retry-After"); got != c.want {
			t.Errorf("%v: Retry-After %q, want %q", c.err, got, c.want)
		}
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := httptest.NewRecorder()
	httpserver.WriteProblem(w, httptest.NewRequest(http.MethodHead, "/", nil), apierr.New(apierr.NotFound, "X", "x"))
	if w.Code != 404 || w.Body.Len() != 0 {
		t.Errorf("%d, %q", w.Code, w.Body)
	}
}

// Whatever an error repeats of a request, its document stays small and whole.
func TestDocumentsAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"escaped": strings.Repeat("<", 1<<20), "wide": strings.Repeat("\U0001f511", 1<<18), "control codes": strings.Repeat("\x01", 1<<18),
		"not UTF-8": strings.Repeat("\xff", 1<<18), "short": "x",
	} {
		e := apierr.New(apierr.InvalidArgument, "INVALID_REQUEST", text)
		for range 1000 {
			e.Fields = append(e.Fields, apierr.Field{Path: text, Rule: text, Description: text})
		}
		w := httptest.NewRecorder()
		httpserver.WriteProblem(w, httptest.NewRequest(http.MethodPost, "/", nil), e)
		size := w.Body.Len()
		var p httpserver.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if size > httpserver.MaxProblemBytes {
			t.Errorf("%s: %d bytes", name, size)
		}
		if p.Reason != "INVALID_REQUEST" || p.Detail == "" || len(p.Errors) == 0 || p.Errors[0].Rule == "" {
			t.Errorf("%s: the document says nothing: %+v", name, p)
		}
	}
}

func TestShorten(t *testing.T) {
	for text, want := range map[string]string{"": "", "abcd": "abcd", "abcde": "abc…", "€€€€": "€€€€", "€€€€€": "€€€…", "a\xffb": "a\xffb", "\xff\xff\xff\xff\xff": "\xff\xff\xff…"} {
		if got := httpserver.Shorten(text, 4); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// The document of an error is the same without a response around it, also of a status that HTTP has
// no words for.
func TestDocumentWithoutAResponse(t *testing.T) {
	for _, e := range []*apierr.Error{
		apierr.New(apierr.Unavailable, "SOME_REASON", "public text").WithField("f", "r", "d"),
		apierr.New(apierr.Canceled, "CANCELED", "the client has gone"),
		apierr.New(apierr.Internal, "SOME_REASON", "").WithHTTPStatus(599),
	} {
		r := httptest.NewRequestWithContext(request.WithID(t.Context(), "req-1"), http.MethodGet, "/x", nil)
		w := httptest.NewRecorder()
		httpserver.WriteProblem(w, r, e)
		document := httpserver.ProblemDocument(r, e)
		var p httpserver.Problem
		if err := json.Unmarshal(document, &p); err != nil || string(document) != w.Body.String() || p.Title == "" || p.Status != w.Code {
			t.Errorf("the document is %s, %v, and the response %d %s", document, err, w.Code, w.Body)
		}
	}
}
