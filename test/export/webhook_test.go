package export_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
)

const (
	events = 1000
	kills  = 4
)

// midst is told when something happened in the midst of a push, and again after as many more.
type midst struct {
	every int64
	count atomic.Int64
	told  chan struct{}
}

func newMidst(every int64) *midst { return &midst{every: every, told: make(chan struct{}, kills)} }

// happened counts; it tells a few times only.
func (m *midst) happened() {
	if n := m.count.Add(1); n%m.every == 0 {
		select {
		case m.told <- struct{}{}:
		default:
		}
	}
}

func TestWebhookAfterKills(t *testing.T) {
	webhookAfterKills(t, stand(t, numbered(events)), identified(events))
}

// webhookAfterKills pushes to a server over HTTPS that checks each signature, and kills the push
// before an answer and after one.
func webhookAfterKills(t *testing.T, w world, want trail) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	checks, err := standardwebhooks.NewWebhook(secret)
	check.NoError(t, err)
	var got arrived
	during := newMidst(7)
	ca := tlstest.New(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // who sends it was killed
		}
		if err := checks.Verify(body, r.Header); err != nil {
			t.Errorf("a signature: %v", err)
		}
		var list []struct{ ID string }
		if err := json.Unmarshal(body, &list); err != nil {
			t.Error(err)
		}
		for _, e := range list {
			got.add(e.ID)
		}
		during.happened() // what is stored, and perhaps never acknowledged
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Server(t)}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	authority, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "secret")
	check.NoError(t, os.WriteFile(authority, ca.PEM, 0o600))
	check.NoError(t, os.WriteFile(key, []byte(secret+"\n"), 0o600))
	w.environ = append(w.environ, "GATEHOUSE_CLI_WEBHOOK_SECRET_FILE="+key)
	w.killed(t, kills, during.told, "--to", "webhook:"+s.URL+"/hook", "--ca", authority, "--allow-private", "--resume", filepath.Join(dir, "state"), "--once", "--batch", "10")
	got.whole(t, want, 1+kills)
}
