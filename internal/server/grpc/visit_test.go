package grpcserver

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/logging"
)

// R62: a request at the door whose handling panics is a 500 that says nothing, or is cut where its
// response has begun, and in each case has its line.
func TestVisitThatPanics(t *testing.T) {
	for name, c := range map[string]struct {
		end    http.HandlerFunc
		status int
		cut    bool
		logged string
	}{
		"before the response": {func(http.ResponseWriter, *http.Request) { panic("secret of the machine") }, 500, false, "secret of the machine"},
		"in the response": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half")
			panic("late")
		}, 200, true, "late"},
		"a cut on purpose": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			p := Params{Log: logging.New(logging.Config{Level: "info"}, &log), Now: time.Now}
			r, w := httptest.NewRequest("GET", "/api/v1/x?access_token=canary", nil), httptest.NewRecorder()
			r.RemoteAddr = "not an address"
			var cut any
			func() {
				defer func() { cut = recover() }()
				visited(p, func() string { return "req-1" })(c.end).ServeHTTP(w, r)
			}()
			if (cut == http.ErrAbortHandler) != c.cut || cut != nil && !c.cut {
				t.Errorf("it panics on with %v", cut)
			}
			if w.Header().Get("X-Request-Id") != "req-1" || strings.Contains(w.Body.String(), "secret") || !c.cut && w.Code != c.status {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if told := strings.Contains(log.String(), `"msg":"panic"`); told != (c.logged != "") || !strings.Contains(log.String(), c.logged) {
				t.Errorf("the log says %s", &log)
			}
			if strings.Count(log.String(), `"msg":"rest request"`) != 1 || strings.Contains(log.String(), "canary") {
				t.Errorf("the log says %s", &log)
			}
		})
	}
}
