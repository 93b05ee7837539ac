package cluster_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// longest is how long a page may take.
const longest = 4 * time.Minute

// A block of a page is for this cluster (run), or needs machines or a site of one's own (vm).
var block = regexp.MustCompile("(?ms)^```(\\S*)[ ]*(\\S*)\n(.*?)^```$")

// Every command of every runbook works, page by page, in the shell of an operator. This comes after
// the tour, which needs a cluster without an administrator.
func TestRunbooks(t *testing.T) {
	c := running(t)
	pages, err := filepath.Glob(filepath.Join(c.root, "docs", "runbooks", "*.md"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	// The page that ends the database comes last: what goes wrong there harms every other one.
	last := func(page string) int { return strings.Count(page, "backup-restore") }
	slices.SortStableFunc(pages, func(a, b string) int { return cmp.Compare(last(a), last(b)) })
	for _, page := range pages {
		name := strings.TrimSuffix(filepath.Base(page), ".md")
		if name == "README" {
			continue
		}
		t.Run(name, func(t *testing.T) { c.try(t, page) })
	}
}

// try runs the blocks of a page one after the other in one shell, as somebody does who reads it.
func (c *cluster) try(t *testing.T, page string) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("vars=nomad/vars/dev.hcl\n")
	if bytes.Contains(raw, []byte(`"$who"`)) { // somebody with an account
		fmt.Fprintf(&script, "who='{\"email\": \"runbook-%d@example.com\", \"password\": \"correct horse battery staple\"}'\n", time.Now().UnixNano())
		script.WriteString("curl -fsS --json \"$who\" -o /dev/null \"$GATEHOUSE_URL/api/v1/auth/sign-up\"\n")
	}
	blocks := runnable(t, raw, &script)
	cmd := c.command(t, "bash", "-euo", "pipefail", "-c", script.String())
	cmd.WaitDelay = 5 * time.Second
	timer := time.AfterFunc(longest, func() { _ = cmd.Cancel() })
	defer timer.Stop()
	begun := time.Now()
	out, err := output(cmd)
	if err != nil {
		t.Errorf("it stops after %s: %v\n%s", time.Since(begun).Round(time.Second), err, out)
	}
	t.Logf("%d blocks in %s", blocks, time.Since(begun).Round(time.Second))
	if status, err := c.cli("status"); err != nil {
		t.Errorf("it leaves the cluster unwell: %v\n%s", err, status)
	}
}

// runnable appends the blocks of a page that are for this cluster to a script, and says how many.
func runnable(t *testing.T, page []byte, script *strings.Builder) (blocks int) {
	t.Helper()
	for _, found := range block.FindAllSubmatchIndex(page, -1) {
		language, word, text := string(page[found[2]:found[3]]), string(page[found[4]:found[5]]), string(page[found[6]:found[7]])
		line := 2 + strings.Count(string(page[:found[0]]), "\n")
		switch {
		case language == "sh" && word == "run":
			fmt.Fprintf(script, "echo '== line %d' >&2\n%s\n", line, text)
			blocks++
		case language != "sh" || word != "vm":
			t.Errorf("line %d: a block of %q %q: it is ```sh run, or ```sh vm where it needs machines of its own", line, language, word)
		}
	}
	if blocks == 0 {
		t.Fatal("nothing of it can be run")
	}
	return blocks
}
