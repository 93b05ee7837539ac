package export_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

func batch(t *testing.T, ids ...int) export.Batch {
	t.Helper()
	b := export.Batch{First: 1}
	for _, n := range ids {
		e, err := format.Decode(raw(n))
		check.NoError(t, err)
		line, err := format.Writer{Name: format.OCSF}.Line(e)
		check.NoError(t, err)
		b.Events, b.Lines = append(b.Events, e), append(b.Lines, line)
	}
	return b
}

// hook starts a receiver, and a webhook that calls it.
func hook(t *testing.T, handler http.HandlerFunc) (*export.Webhook, string) {
	t.Helper()
	ca := tlstest.New(t)
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Server(t)}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	w, err := export.NewWebhook(export.WebhookParams{
		URL: s.URL + "/hook?token=canary", Secret: secret, TLS: &tls.Config{RootCAs: ca.Roots, MinVersion: tls.VersionTLS12}, Private: true, List: true, Now: time.Now,
	})
	check.NoError(t, err)
	return w, s.URL
}

// The signature is that of Standard Webhooks 1.0, here by its own words: HMAC-SHA256 over
// "id.timestamp.body", in base64 behind "v1,".
func TestWebhooksAreSigned(t *testing.T) {
	t.Parallel()
	var ids []string
	w, _ := hook(t, func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("webhook-signature") != want {
			t.Errorf("signed %s, want %s", r.Header.Get("webhook-signature"), want)
		}
		var list []map[string]any
		if err := json.Unmarshal(body, &list); err != nil || r.Header.Get("Content-Type") != "application/cloudevents-batch+json" {
			t.Errorf("%s %v", r.Header.Get("Content-Type"), err)
		}
		ids = append(ids, r.Header.Get("webhook-id"))
	})
	for _, b := range []export.Batch{batch(t, 1, 2), batch(t, 1, 2), batch(t, 1, 2, 3)} {
		check.NoError(t, w.Deliver(t.Context(), b))
	}
	if len(ids) != 3 || ids[0] != ids[1] || ids[1] == ids[2] { // who drops what it knows by its id must not drop the third event
		t.Errorf("ids %v", ids)
	}
}

// R61: who is busy is asked again, who refuses is not, and no answer leads anywhere else.
func TestAnswersOfWebhooks(t *testing.T) {
	t.Parallel()
	for status, final := range map[int]bool{
		200: false, 204: false, 301: true, 302: true, 307: true, 308: true, 400: true, 401: true, 403: true, 404: true, 410: true, 413: true,
		408: false, 409: false, 425: false, 429: false, 500: false, 502: false, 503: false,
	} {
		calls := 0
		w, url := hook(t, func(w http.ResponseWriter, r *http.Request) {
			calls++
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("answer-canary"))
		})
		err := w.Deliver(t.Context(), batch(t, 1))
		if calls != 1 || (err == nil) != (status < 300) || err != nil && isFinal(err) != final {
			t.Errorf("%d: %d calls, %v", status, calls, err)
		}
		if err != nil && (strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), strings.TrimPrefix(url, "https://"))) {
			t.Errorf("%d: %v: names the host, and nothing that may be secret", status, err)
		}
	}
}

// isFinal says what an export does with the error: it ends at once.
func isFinal(err error) bool {
	tries := 0
	x := export.Export{
		Source: trail(1), State: &export.State{}, Line: format.Writer{Name: format.OCSF}.Line, Size: 1, Bytes: 1, Wait: time.Second, Pause: time.Nanosecond,
		Told: func(error) {}, Done: func(export.Progress) {},
		Receiver: &receiver{fail: func(try int) error {
			if tries = try; try > 1 {
				return export.Final(errors.New("enough"))
			}
			return err
		}},
	}
	_ = x.Run(context.Background())
	return tries == 1
}

func TestWebhooksOfOthersThanAllowed(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]export.WebhookParams{
		"no address":      {URL: "x", Secret: secret},
		"a user":          {URL: "https://u:p@a.example/", Secret: secret},
		"in clear":        {URL: "http://a.example/", Secret: secret, Private: true},
		"loopback clear":  {URL: "http://127.0.0.1/", Secret: secret},
		"another scheme":  {URL: "file:///etc/passwd", Secret: secret},
		"no secret":       {URL: "https://a.example/"},
		"a short secret":  {URL: "https://a.example/", Secret: "whsec_c2hvcnQ="},
		"another secret":  {URL: "https://a.example/", Secret: "hunter2-canary"},
		"a broken secret": {URL: "https://a.example/", Secret: "whsec_canary!"},
	} {
		if _, err := export.NewWebhook(p); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// R61: what a name leads to is looked at when it is called, and redirects are none.
	called := false
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(s.Close)
	for _, host := range []string{"127.0.0.1", "localhost"} {
		url := strings.Replace(s.URL, "127.0.0.1", host, 1)
		w, err := export.NewWebhook(export.WebhookParams{URL: url, Secret: secret, Now: time.Now})
		check.NoError(t, err)
		if err := w.Deliver(t.Context(), batch(t, 1)); err == nil || !strings.Contains(err.Error(), "--allow-private") || !isFinal(err) || called {
			t.Errorf("%s: called %t, %v", host, called, err)
		}
	}
}
