package browser_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The page of examples/web signs people in with its script, keeps tokens in memory only, and calls
// the provider by the client's web origin.
func TestExampleOfAPage(t *testing.T) {
	page := publish(t)
	who := address(t)
	person(t, false).signUp(who)
	b := person(t, true)
	b.visit(page)
	b.status("You are not signed in.")

	b.do(chromedp.Click(chromedp.ID("sign-in")))
	b.arrive(origin() + "/sign-in")
	b.says("to continue to A page")
	b.do(fill("email", who, "password", password), press("/sign-in"))
	b.status("You are signed in as " + who + ".")
	if kept := evaluate[string](b, `location.href + document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)`); kept != page+"{}{}" {
		t.Errorf("the page keeps %s", kept)
	}

	b.do(chromedp.Click(chromedp.ID("profile")))
	b.count("/oauth2/userinfo", 1)
	b.says(`"email": "` + who + `"`)
	// The access token is over: two calls at once need one refresh.
	evaluate[any](b, `{ const now = Date.now; Date.now = () => now() + 3_600_000; const p = document.getElementById("profile"); p.click(); p.click() }`)
	b.count("/oauth2/userinfo", 3)
	b.count("/oauth2/token", 2)
	b.status("You are signed in as " + who + ".")

	b.visit(page) // nobody is asked again
	b.status("You are signed in as " + who + ".")
	b.do(chromedp.Click(chromedp.ID("sign-out")))
	b.status("You are not signed in.")
	b.load(200, "/sign-in", chromedp.Navigate(origin()+"/account"))
}

// What the page refuses, and what is refused to it.
func TestExampleOfAPageRefuses(t *testing.T) {
	page := publish(t)
	who := address(t)
	b := person(t, true)
	b.signUp(who)
	t.Run("an answer to nothing", func(t *testing.T) {
		b.visit(page + "?code=x&state=another&iss=" + origin())
		b.status("That did not work: ")
	})
	t.Run("an answer with another state", func(t *testing.T) {
		evaluate[any](b, `sessionStorage.setItem("sign-in", JSON.stringify({state: "one", nonce: "x", verifier: "x".repeat(43)}))`)
		b.visit(page + "?code=x&state=another&iss=" + origin())
		b.status("That did not work: ")
	})
	t.Run("a session that has ended", func(t *testing.T) {
		b.visit(page)
		b.status("You are signed in as " + who + ".")
		other := b.second(true)
		other.open("/sign-out")
		other.load(200, "/sign-out", press("/sign-out"))
		b.do(chromedp.Click(chromedp.ID("profile")))
		b.status("You are not signed in.")
	})
	t.Run("a page of another origin", func(t *testing.T) {
		b.visit(strings.Replace(page, "localhost", "127.0.0.1", 1))
		b.status("That did not work: ")
		b.mu.Lock()
		defer b.mu.Unlock()
		if said := strings.Join(b.complaints, "\n"); !strings.Contains(said, "CORS") {
			t.Errorf("the console says %q", said)
		}
		b.complaints = nil
	})
}

// publish serves the example as its README says, as a client of the platform, and returns where.
func publish(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	check.NoError(t, os.CopyFS(folder, os.DirFS("../../examples/web")))
	npm := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("get the library: %v\n%s", err, out)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(folder)))
	t.Cleanup(server.Close)
	at := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	id := register(t, "A page", "--public", "--redirect", at+"/", "--post-logout", at+"/", "--origin", at)
	index := filepath.Join(folder, "index.html")
	text, err := os.ReadFile(index)
	check.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte("http://localhost:8080"), []byte(origin()))
	text = bytes.ReplaceAll(text, []byte("client-…"), []byte(id))
	check.NoError(t, os.WriteFile(index, text, 0o600))
	check.Within(t, patience, "the gateway knows the web origin", func() error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, origin()+"/.well-known/openid-configuration", nil)
		check.NoError(t, err)
		r.Header.Set("Origin", at)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.Header.Get("Access-Control-Allow-Origin") != at {
			return errors.New("it may not read")
		}
		return nil
	})
	return at + "/"
}

// visit goes to a page of somebody else's.
func (b *tab) visit(page string) {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	check.NoError(b.t, chromedp.Do(ctx, chromedp.Navigate(page)))
}

// evaluate is the value of an expression on the page.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.Context, chromedp.Evaluate[T](expression))
	check.NoError(b.t, err)
	return value
}

// wait waits until an expression on the page, which may be on its way to another one, has a value.
func wait[T any](b *tab, what, expression string, good func(T) bool) {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	check.Within(b.t, patience, what, func() error {
		value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
		if err != nil {
			return err
		}
		if !good(value) {
			return fmt.Errorf("it is %v", value)
		}
		return nil
	})
}

// status waits for what the example says.
func (b *tab) status(text string) {
	b.t.Helper()
	wait(b, "the page says "+text, `document.getElementById("status")?.textContent ?? ""`, func(s string) bool { return strings.HasPrefix(s, text) })
}

// arrive waits until the tab is at a page, whatever its query.
func (b *tab) arrive(page string) {
	b.t.Helper()
	wait(b, "the browser is at "+page, `document.readyState === "complete" ? location.origin + location.pathname : ""`, func(s string) bool { return s == page })
}

// count waits until the page has called a path so often.
func (b *tab) count(path string, times int) {
	b.t.Helper()
	wait(b, fmt.Sprintf("%d calls of %s", times, path), `performance.getEntriesByType("resource").filter(e => new URL(e.name).pathname === "`+path+`").length`,
		func(n int) bool { return n == times })
}

const administrator = "administrator@example.com"

// register registers a client as an administrator does, and returns its id.
func register(t *testing.T, args ...string) string {
	t.Helper()
	bootstrap(t)
	t.Setenv("GATEHOUSE_CLI_PASSWORD", password)
	var out []byte
	check.Within(t, time.Minute, "a client is registered", func() (err error) { // Authz learns of the administrator a moment later
		if out, err = plat.CLI(t.Context(), append([]string{"clients", "create", "--email", administrator, "-o", "json"}, args...)...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	var told struct{ Client struct{ ID string } }
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("{")) {
			check.NoError(t, json.Unmarshal(line, &told))
		}
	}
	if told.Client.ID == "" {
		t.Fatalf("no client was registered:\n%s", out)
	}
	return told.Client.ID
}

// bootstrap makes the administrator, once.
func bootstrap(t *testing.T) {
	t.Helper()
	secret, err := plat.BootstrapSecret()
	check.NoError(t, err)
	body := fmt.Sprintf(`{"secret": %q, "email": %q, "password": %q}`, secret, administrator, password)
	check.Within(t, time.Minute, "the administrator", func() error {
		response, err := http.Post(origin()+"/api/v1/auth/bootstrap", "application/json", strings.NewReader(body))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusUnauthorized { // made before
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return nil
	})
}
