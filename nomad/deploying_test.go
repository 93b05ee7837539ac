package nomad_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Nomad reads every snippet of the page on other ways to deploy, as the part of a job that it is.
func TestTheSnippetsOfDeploying(t *testing.T) {
	around := map[string]string{
		"task":         `job "x" { group "x" { task "x" { driver = "exec" PART } } }`,
		"sidecar_task": `job "x" { group "x" { service { name = "x" connect { sidecar_service {} sidecar_task { PART } } } task "x" { driver = "exec" } } }`,
		"job":          `PART job "x" { group "x" { task "x" { driver = "exec" } } }`,
	}
	page := read(t, "../docs/deploying.md")
	found := regexp.MustCompile("(?s)<!-- (\\w+) -->\n```hcl\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(found) < 5 || len(found)*2 != strings.Count(page, "```") {
		t.Fatalf("%d snippets that say what they are part of, and %d fences", len(found), strings.Count(page, "```"))
	}
	for _, snippet := range found {
		path := filepath.Join(t.TempDir(), "snippet.hcl")
		args := []string{"job", "run", "-output", "-hcl2-strict", path}
		text := snippet[2]
		if snippet[1] == "variables" {
			args = []string{"job", "run", "-output", "-hcl2-strict", "-var-file", path, "-var", "trust_domain=" + trustDomain, file(t, "identity")}
		} else {
			text = spread(around[snippet[1]])
			if strings.Contains(snippet[2], "driver ") {
				text = strings.Replace(text, "driver = \"exec\"\nPART", "PART", 1)
			}
			text = strings.Replace(text, "PART", snippet[2], 1)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := command(t, args...); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, text)
		}
	}
	for _, job := range jobFiles(t) {
		if text := read(t, job); strings.Contains(text, "[[") || strings.Contains(text, "]]") {
			t.Errorf("%s has what the templates of a pack read", job)
		}
	}
}

// spread puts each part of one line of HCL on its own, as it must be.
func spread(line string) string {
	line = regexp.MustCompile(`\{ `).ReplaceAllString(line, "{\n")
	line = regexp.MustCompile(` \}`).ReplaceAllString(line, "\n}")
	return regexp.MustCompile(`("|\}|PART) (\w)`).ReplaceAllString(line, "$1\n$2") + "\n"
}
