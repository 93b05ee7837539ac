// Package browser_test tries the pages for people in Debian's Chromium, by the DevTools protocol,
// on a platform of its own: the whole flow with scripts disabled, then accessibility with axe-core.
// It needs chromium, node and npm: `make test-browser` runs it, `make test` does not.
package browser_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// password is everybody's.
const password = "correct horse battery staple"

// patience is how long a page may take.
const patience = 20 * time.Second

var (
	plat    *platform.Platform
	browser context.Context // Chromium
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	program, err := exec.LookPath("chromium")
	if err != nil {
		return 1, errors.New("chromium was not found: install it (Debian: apt-get install chromium) and put it on PATH")
	}
	offset, err := platform.FreeOffset(9000)
	if err != nil {
		return 1, err
	}
	if plat, err = platform.New(platform.Options{Offset: offset}); err != nil {
		return 1, err
	}
	defer func() {
		if code != 0 || err != nil {
			plat.PrintLogs(os.Stderr)
		}
		err = errors.Join(err, plat.Close())
	}()
	if err := plat.Up(); err != nil {
		return 1, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.Flag("disable-dev-shm-usage", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root with one
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator)
	defer cancel()
	browser = ctx
	if err := chromedp.Do(ctx); err != nil {
		return 1, fmt.Errorf("start chromium: %w", err)
	}
	return m.Run(), nil
}

// origin is where the pages are: by the name that browsers take for trustworthy without TLS.
func origin() string { return strings.Replace(plat.URL(), "127.0.0.1", "localhost", 1) }

// tab is one tab.
type tab struct {
	context.Context

	t  *testing.T
	mu sync.Mutex
	// complaints are what the console says is against a policy.
	complaints []string
}

// person opens a tab with cookies of its own.
func person(t *testing.T, scripts bool) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	return prepare(t, ctx, scripts)
}

// second opens another tab of the same person.
func (b *tab) second(scripts bool) *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.Context)
	b.t.Cleanup(cancel)
	return prepare(b.t, ctx, scripts)
}

func prepare(t *testing.T, ctx context.Context, scripts bool) *tab {
	t.Helper()
	b := &tab{Context: ctx, t: t}
	b.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !scripts}))
	err := chromedp.Listen(ctx, func(event any) {
		e, ok := event.(*log.EventEntryAdded)
		if !ok || e.Entry.Source == log.EntrySourceNetwork { // such as a status of 401
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.complaints = append(b.complaints, e.Entry.Text)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, c := range b.complaints {
			t.Errorf("the console says %s", c)
		}
	})
	return b
}

// call is a command of the protocol as an action.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(b.Context, patience)
}

// do runs steps that load no page.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.Context, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// load runs steps that load a page, and checks its status and its place.
func (b *tab) load(status int64, path string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	response, err := chromedp.RunResponse(ctx, steps...)
	if err != nil {
		b.t.Fatalf("load %s: %v", path, err)
	}
	b.text() // the page is there, not only its answer
	if response.Status != status || response.URL != origin()+path {
		b.t.Fatalf("%s is %d, want %s with %d\n%s", response.URL, response.Status, path, status, b.text())
	}
}

// open goes to a page.
func (b *tab) open(path string) {
	b.t.Helper()
	b.load(200, path, chromedp.Navigate(origin()+path))
}

// text is what the page says.
func (b *tab) text() string {
	b.t.Helper()
	return look(b, chromedp.Text(chromedp.CSS("body")))
}

// look reads something on the page, again when the page it was found on has made room for the next
// one.
func look[T any](b *tab, what chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	for {
		found, err := chromedp.Run(ctx, what)
		if err == nil {
			return found
		}
		if !strings.Contains(err.Error(), "No node with given id found") {
			b.t.Fatal(err)
		}
	}
}

// says checks that the page says something.
func (b *tab) says(texts ...string) {
	b.t.Helper()
	page := b.text()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			b.t.Fatalf("it does not say %q:\n%s", text, page)
		}
	}
}

// value is what stands in a field.
func (b *tab) value(field string) string {
	b.t.Helper()
	return look(b, chromedp.Value(chromedp.ID(field)))
}

// fill types into fields, given as pairs of name and text.
func fill(pairs ...string) chromedp.Action[chromedp.Void] {
	var steps []chromedp.Action[chromedp.Void]
	for i := 0; i < len(pairs); i += 2 {
		steps = append(steps, chromedp.Clear(chromedp.ID(pairs[i])), chromedp.SendKeys(chromedp.ID(pairs[i]), pairs[i+1]))
	}
	return chromedp.Steps(steps...)
}

// press sends the first form whose action is a path.
func press(path string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(`form[action="` + path + `"] button`))
}

// follow follows a link.
func follow(path string) chromedp.Action[chromedp.Void] {
	return chromedp.Click(chromedp.CSS(`a[href="` + path + `"]`))
}

// reads makes the tab one of somebody who reads a language.
func (b *tab) reads(language string) {
	b.t.Helper()
	agent, err := chromedp.Run(b.Context, chromedp.Evaluate[string]("navigator.userAgent"))
	if err != nil {
		b.t.Fatal(err)
	}
	b.do(call(emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: agent, AcceptLanguage: language}))
}

// cookies are those of the person.
func (b *tab) cookies() []*network.Cookie {
	b.t.Helper()
	ctx, cancel := b.bounded()
	defer cancel()
	found, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		b.t.Fatal(err)
	}
	return found.Cookies
}
