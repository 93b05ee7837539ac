package openid_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A client that is for people with a proven address gives no code to others: they are led to where
// they prove it, and a request that may show no page is told so.
func TestClientsForProvenAddresses(t *testing.T) {
	w := newWorld(t)
	_, err := w.Pool.Exec(t.Context(), `update auth.clients set require_verified_email = true where id = $1`, webID)
	check.NoError(t, err)
	r := w.authorize(w.asks().Encode(), w.cookie)
	if got := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || got != "/account?done=verify-first" {
		t.Errorf("%d to %s", r.StatusCode, got)
	}
	if q := sentTo(t, w.authorize(w.asks("prompt", "none").Encode(), w.cookie)).Query(); q.Get("error") != "interaction_required" || q.Has("code") {
		t.Errorf("without a page: %v", q)
	}
	_, err = w.Pool.Exec(t.Context(), `update auth.logins set email_verified = true`)
	check.NoError(t, err)
	if q := sentTo(t, w.authorize(w.asks().Encode(), w.cookie)).Query(); !q.Has("code") {
		t.Errorf("with a proven address: %v", q)
	}
}
