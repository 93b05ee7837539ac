package browser_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe is the source of axe-core, which package-lock.json pins by version and checksum.
var axe = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "gatehouse-axe-")
	if err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(folder)
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("copy what npm reads: %w", err)
		}
	}
	npm := exec.Command("npm", "ci")
	npm.Dir = folder
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("get axe-core with `npm ci`, which needs node and npm: %w\n%s", err, out)
	}
	source, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
	return string(source), err
})

// finding is a rule of axe-core that a page breaks.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

// screen is where somebody reads.
type screen struct {
	name          string
	width, height int64
	scheme        string // of colours
}

func screens() []screen {
	return []screen{
		{"phone, light", 360, 740, "light"}, {"phone, dark", 360, 740, "dark"},
		{"desktop, light", 1280, 900, "light"}, {"desktop, dark", 1280, 900, "dark"},
	}
}

// on makes the tab such a screen.
func (b *tab) on(s screen) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(s.width, s.height), call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}},
	}))
}

// audit fails for what axe-core finds on the page, and for a page that is wider than its screen.
func (b *tab) audit(name string) {
	b.t.Helper()
	source, err := axe()
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := b.bounded()
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](source)); err != nil {
		b.t.Fatal(err)
	}
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]finding](`axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations)`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, f := range found {
		var where []string
		for _, n := range f.Nodes {
			where = append(where, n.HTML)
		}
		b.t.Errorf("%s: %s (%s): %s\n%s", name, f.ID, f.Impact, f.Help, strings.Join(where, "\n"))
	}
	wider, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	if err != nil || wider > 0 {
		b.t.Errorf("%s: %d pixels wider than the screen, %v", name, wider, err)
	}
}

// Every page, on a phone and a desk, light and dark, in both languages, is accessible: axe-core
// finds nothing.
func TestAccessibility(t *testing.T) {
	who := strings.Repeat("a-long-name.", 5) + address(t) // which must not break a page
	stranger, known := person(t, true), person(t, true)
	known.signUp(who)
	for _, language := range []string{"en", "de"} {
		stranger.reads(language)
		known.reads(language)
		for _, s := range screens() {
			for name, show := range shown() {
				b := stranger
				if strings.HasPrefix(name, "known: ") {
					b = known
				}
				b.on(s)
				show(b)
				b.audit(name + " in " + language + ", " + s.name)
			}
		}
	}
}

// The control: a page with faults is not accessible to axe-core either.
func TestAxeFindsFaults(t *testing.T) {
	b := person(t, true)
	b.open("/sign-in")
	source, err := axe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := b.bounded()
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[int](source+`; document.querySelector("label").remove(); document.documentElement.lang = "";
		axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.length)`, chromedp.EvalAwaitPromise))
	if err != nil || found < 2 {
		t.Errorf("%d faults found, %v; want the missing label and language", found, err)
	}
}
