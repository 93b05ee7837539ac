package secrets_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/secrets"
)

const authServe = "nomad/jobs/auth/auth/serve"

// rotateKeyBesideOthers: a rotation that meets another's change of the variable, or a Nomad that
// fails, ends with a new key beside the old one, and nothing of the other is lost.
func rotateKeyBesideOthers(w *world) {
	w.rotateThrough("somebody writes it", func() bool {
		w.put(authServe, "OTHER", "other")
		return true
	})
	w.rotateThrough("Nomad fails", func() bool { return false })
	w.rotateAmongWriters()
	if got := w.all()[authServe+" OTHER"]; got != "other" {
		w.t.Errorf("what somebody has written is %q", got)
	}
}

// rotateThrough rotates the key by a way to Nomad on which between runs once before the variable is
// written, and says whether it is.
func (w *world) rotateThrough(name string, between func() bool) {
	t := w.t
	w.ensure()
	before := w.all()
	target, err := url.Parse(w.nomad.Address)
	if err != nil {
		t.Fatal(err)
	}
	way, met := httputil.NewSingleHostReverseProxy(target), atomic.Bool{}
	door := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, authServe) && met.CompareAndSwap(false, true) && !between() {
			http.Error(out, "no leader", http.StatusInternalServerError)
			return
		}
		way.ServeHTTP(out, r)
	}))
	defer door.Close()
	environ := append(w.nomad.Environ(w.nomad.Token), "NOMAD_NAMESPACE="+w.namespace, "NOMAD_ADDR="+door.URL)
	keeper, err := secrets.New(secrets.Nomad{Environ: environ}, w.def, w.server, w.cert, func(string, ...any) {})
	if err != nil {
		t.Fatal(err)
	}
	const key = "GATEHOUSE_AUTH_KEY"
	if err := keeper.Rotate(t.Context(), key, 0); err != nil {
		if err := keeper.Ensure(t.Context(), true); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if now := w.all(); now[authServe+" "+key] != before[authServe+" "+key] && now[authServe+" "+key+"_PREVIOUS"] != before[authServe+" "+key] {
			t.Errorf("%s: the repair loses the old key", name)
		}
		if now := w.all(); now[authServe+" "+key] == before[authServe+" "+key] { // or it has gone on by itself
			if err := keeper.Rotate(t.Context(), key, 0); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	after := w.all()
	if !met.Load() {
		t.Fatalf("%s: nobody wrote it", name)
	}
	if after[authServe+" "+key] == before[authServe+" "+key] || after[authServe+" "+key+"_PREVIOUS"] != before[authServe+" "+key] {
		t.Errorf("%s: it is not replaced, or has not the old key beside the new one", name)
	}
	if err := w.keeper().Finish(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// rotateAmongWriters: where somebody writes the variable each time before, the rotation gives up.
func (w *world) rotateAmongWriters() {
	target, err := url.Parse(w.nomad.Address)
	if err != nil {
		w.t.Fatal(err)
	}
	way, writes := httputil.NewSingleHostReverseProxy(target), 0
	door := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			writes++
			w.put(authServe, "OTHER", strconv.Itoa(writes))
		}
		way.ServeHTTP(out, r)
	}))
	defer door.Close()
	before := w.all()[authServe+" GATEHOUSE_AUTH_KEY"]
	environ := append(w.nomad.Environ(w.nomad.Token), "NOMAD_NAMESPACE="+w.namespace, "NOMAD_ADDR="+door.URL)
	keeper, err := secrets.New(secrets.Nomad{Environ: environ}, w.def, w.server, w.cert, func(string, ...any) {})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := keeper.Rotate(w.t.Context(), "GATEHOUSE_AUTH_KEY", 0); err == nil || !strings.Contains(err.Error(), "others have written the variables 10 times") {
		w.t.Errorf("%v after %d writes", err, writes)
	}
	if now := w.all()[authServe+" GATEHOUSE_AUTH_KEY"]; now != before || writes != 10 {
		w.t.Errorf("after %d writes the key has changed: %t", writes, now != before)
	}
	w.put(authServe, "OTHER", "other")
}
