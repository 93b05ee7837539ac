package clients_test

import (
	"fmt"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
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
	who, v := e.signUp(t), visitor.New(t, nil)
	v.Says(v.Open(app+"/"), http.StatusOK, `href="/sign-in"`)
	v.Says(v.SignIn(v.Open(app+"/sign-in"), who, password), http.StatusOK, "You are signed in as "+who)

	t.Run("refreshes, one at a time", func(t *testing.T) {
		const requests = 10
		before, answers := e.calls.count(), make(chan error, requests)
		for range requests {
			go func() {
				page, err := v.Try(app + "/orders")
				if err == nil && !strings.Contains(page.Text, `"orders":[]`) {
					err = fmt.Errorf("%s answers %d: %s", page.At, page.Status, page.Text)
				}
				answers <- err
			}()
		}
		for range requests {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if n := e.calls.count() - before; n != requests {
			t.Errorf("the API saw %d tokens in %d requests", n, requests)
		}
	})
	t.Run("refuses answers of others", func(t *testing.T) { e.forged(t, app, v.In(t)) })
	t.Run("says that nobody is signed in", func(t *testing.T) {
		stranger := visitor.New(t, nil)
		link := stranger.Sent(app + "/sign-in").To
		stranger.Says(stranger.Open(link.String()+"&prompt=none"), http.StatusForbidden, "You are not signed in.") // login_required
		stranger.Says(stranger.Open(app+"/"), http.StatusOK, `href="/sign-in"`)
	})
	t.Run("notices that the session has ended elsewhere", func(t *testing.T) {
		v := v.In(t)
		v.Says(v.Post(e.issuer+"/sign-out", neturl.Values{}), http.StatusOK, "You are signed out")
		page := v.Open(app + "/orders")
		v.Says(v.SignIn(page, who, password), http.StatusOK, "You are signed in as "+who)
	})
	t.Run("signs out", func(t *testing.T) {
		v := v.In(t)
		v.Says(v.PostAcross(app+"/sign-out", neturl.Values{}), http.StatusForbidden, "")
		page := v.Post(app+"/sign-out", neturl.Values{})
		v.Says(page, http.StatusOK, `href="/sign-in"`)
		if page.At.String() != app+"/" {
			t.Errorf("sent to %s", page.At)
		}
		if page := v.Open(app + "/sign-in"); page.At.Path != "/sign-in" || !strings.Contains(page.Text, `name="return_to"`) {
			t.Errorf("still signed in at Gatehouse: %s", page.At)
		}
	})
}

// forged brings answers to the application that are to no sign-in of this browser.
func (e *examples) forged(t *testing.T, app string, v *visitor.Visitor) {
	answer := v.Sent(v.Sent(app + "/sign-in").To.String()).To // of Gatehouse, who knows v
	if !strings.HasPrefix(answer.String(), app+"/callback?") || answer.Query().Get("code") == "" {
		t.Fatalf("the answer is %s", answer)
	}
	with := func(name, value string) string {
		query := answer.Query()
		query.Set(name, value)
		return app + "/callback?" + query.Encode()
	}
	const refused = "This answer is to no sign-in that began here."
	v.Says(visitor.New(t, nil).Open(answer.String()), http.StatusBadRequest, refused) // another browser
	v.Says(v.Open(with("state", "another")), http.StatusBadRequest, refused)
	v.Says(v.Open(answer.String()), http.StatusBadRequest, refused) // a browser has one try
	v.Sent(app + "/sign-in")
	v.Says(v.Open(app+"/callback?code=x"), http.StatusBadRequest, refused)
}

// A person signs in to the command, which calls an API.
func (e *examples) native(t *testing.T) {
	client := e.register(t, "Orders on the command line", "--public", "--redirect", "http://127.0.0.1/callback", "--audience", audience)
	who, v := e.signUp(t), visitor.New(t, nil)
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
		v := v.In(t)
		wait, said, link := begin(t)
		v.Says(v.SignIn(v.Open(link.String()), who, password), http.StatusOK, "You can close this page")
		check.NoError(t, wait())
		if text := said.String(); !strings.Contains(text, "signed in as "+who) || !strings.Contains(text, `"orders":[]`) {
			t.Errorf("it says\n%s", text)
		}
	})
	t.Run("waits for its own answer, and says why there is none", func(t *testing.T) {
		v := v.In(t)
		wait, said, link := begin(t)
		back := link.Query().Get("redirect_uri")
		v.Says(v.Open(back+"?code=x&state=another&iss="+neturl.QueryEscape(e.issuer)), http.StatusBadRequest, "This answer is to no sign-in that began here.")
		stranger := visitor.New(t, nil)
		stranger.Says(stranger.Open(link.String()+"&prompt=none"), http.StatusOK, "You can close this page")
		if err := wait(); err == nil || !strings.Contains(said.String(), "not signed in: login_required") {
			t.Errorf("it ends with %v and says\n%s", err, said)
		}
	})
}
