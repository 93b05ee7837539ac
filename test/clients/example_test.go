package clients_test

import (
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The programs of examples/ do what docs/sign-in.md says of them, and refuse what it says that they
// refuse. The page with a script is tried by `make test-browser`.
func TestExamples(t *testing.T) {
	e := newExamples(t)
	t.Run("server", e.server)
	t.Run("native", e.native)
	t.Run("api", e.protects)
}

// A person signs in to the application with a server, which calls an API with tokens that it
// refreshes, and signs out.
func (e *examples) server(t *testing.T) {
	client := e.register(t, "Shop", "--redirect", "http://localhost/callback", "--post-logout", "http://localhost/", "--audience", audience)
	app := e.serve(t, "server", "ISSUER="+e.issuer, "CLIENT_ID="+client.Client.ID, "CLIENT_SECRET="+client.Secret, "API_URL="+e.api)
	who, v := e.signUp(t), newVisitor(t)
	v.says(v.open(app+"/"), http.StatusOK, `href="/sign-in"`)
	v.says(v.signIn(v.open(app+"/sign-in"), who), http.StatusOK, "You are signed in as "+who)

	t.Run("refreshes, one at a time", func(t *testing.T) {
		const requests = 10
		before, group := e.calls.count(), sync.WaitGroup{}
		for range requests {
			group.Go(func() { v.says(v.open(app+"/orders"), http.StatusOK, `"orders":[]`) })
		}
		group.Wait()
		if n := e.calls.count() - before; n != requests {
			t.Errorf("the API saw %d tokens in %d requests", n, requests)
		}
	})
	t.Run("refuses answers of others", func(t *testing.T) { e.forged(t, app, v) })
	t.Run("says that nobody is signed in", func(t *testing.T) {
		stranger := newVisitor(t)
		link := stranger.sent(app + "/sign-in").to
		stranger.says(stranger.open(link.String()+"&prompt=none"), http.StatusForbidden, "You are not signed in.") // login_required
		stranger.says(stranger.open(app+"/"), http.StatusOK, `href="/sign-in"`)
	})
	t.Run("notices that the session has ended elsewhere", func(t *testing.T) {
		v.says(v.post(e.issuer+"/sign-out", neturl.Values{}), http.StatusOK, "You are signed out")
		page := v.open(app + "/orders")
		v.says(v.signIn(page, who), http.StatusOK, "You are signed in as "+who)
	})
	t.Run("signs out", func(t *testing.T) {
		v.says(v.do(v.client, http.MethodPost, app+"/sign-out", neturl.Values{}, "cross-site"), http.StatusForbidden, "")
		page := v.post(app+"/sign-out", neturl.Values{})
		v.says(page, http.StatusOK, `href="/sign-in"`)
		if page.at.String() != app+"/" {
			t.Errorf("sent to %s", page.at)
		}
		if page := v.open(app + "/sign-in"); page.at.Path != "/sign-in" || !returnTo.MatchString(page.text) {
			t.Errorf("still signed in at Gatehouse: %s", page.at)
		}
	})
}

// forged brings answers to the application that are to no sign-in of this browser.
func (e *examples) forged(t *testing.T, app string, v *visitor) {
	answer := v.sent(v.sent(app + "/sign-in").to.String()).to // of Gatehouse, who knows v
	if !strings.HasPrefix(answer.String(), app+"/callback?") || answer.Query().Get("code") == "" {
		t.Fatalf("the answer is %s", answer)
	}
	with := func(name, value string) string {
		query := answer.Query()
		query.Set(name, value)
		return app + "/callback?" + query.Encode()
	}
	const refused = "This answer is to no sign-in that began here."
	v.says(newVisitor(t).open(answer.String()), http.StatusBadRequest, refused) // another browser
	v.says(v.open(with("state", "another")), http.StatusBadRequest, refused)
	v.says(v.open(answer.String()), http.StatusBadRequest, refused) // a browser has one try
	v.sent(app + "/sign-in")
	v.says(v.open(app+"/callback?code=x"), http.StatusBadRequest, refused)
}

// A person signs in to the command, which calls an API.
func (e *examples) native(t *testing.T) {
	client := e.register(t, "Orders on the command line", "--public", "--redirect", "http://127.0.0.1/callback", "--audience", audience)
	who, v := e.signUp(t), newVisitor(t)
	// begin starts the command and returns the link that it opens the system's browser with.
	begin := func(t *testing.T) (wait func() error, said *log, link *neturl.URL) {
		t.Helper()
		folder := t.TempDir()
		opened := filepath.Join(folder, "opened")
		check.NoError(t, os.WriteFile(filepath.Join(folder, "xdg-open"), []byte("#!/bin/sh\necho \"$1\" >"+opened+".new && mv "+opened+".new "+opened+"\n"), 0o755))
		cmd, said := e.command(t, "native", "ISSUER="+e.issuer, "CLIENT_ID="+client.Client.ID, "API_URL="+e.api, "PATH="+folder+":"+os.Getenv("PATH"))
		check.NoError(t, cmd.Start())
		var text []byte
		check.Within(t, 30*time.Second, "the browser opens", func() (err error) {
			text, err = os.ReadFile(opened)
			return err
		})
		link, err := neturl.Parse(strings.TrimSpace(string(text)))
		check.NoError(t, err)
		return cmd.Wait, said, link
	}
	t.Run("signs in", func(t *testing.T) {
		wait, said, link := begin(t)
		v.says(v.signIn(v.open(link.String()), who), http.StatusOK, "You can close this page")
		check.NoError(t, wait())
		if text := said.String(); !strings.Contains(text, "signed in as "+who) || !strings.Contains(text, `"orders":[]`) {
			t.Errorf("it says\n%s", text)
		}
	})
	t.Run("waits for its own answer, and says why there is none", func(t *testing.T) {
		wait, said, link := begin(t)
		back := link.Query().Get("redirect_uri")
		v.says(v.open(back+"?code=x&state=another&iss="+neturl.QueryEscape(e.issuer)), http.StatusBadRequest, "This answer is to no sign-in that began here.")
		stranger := newVisitor(t)
		stranger.says(stranger.open(link.String()+"&prompt=none"), http.StatusOK, "You can close this page")
		if err := wait(); err == nil || !strings.Contains(said.String(), "not signed in: login_required") {
			t.Errorf("it ends with %v and says\n%s", err, said)
		}
	})
}
