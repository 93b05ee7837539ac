package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// checkout is a repository with one program and what a site needs, and its commit's time.
func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.test/shop\n\ngo 1.26\n", "cmd/shop/main.go": "package main\n\nvar version = \"dev\"\n\nfunc main() { println(version) }\n",
		"LICENSE": "all of it\n", "consul/embed.go": "package consul\n", "consul/mesh.json": "{}\n", "nomad/jobs/shop.nomad.hcl": "job\n", "other": "not of a site\n",
		".gitignore": "/dist/\n", "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-11-29\n",
	} {
		check.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o750))
		check.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	git(t, root, "init", "--quiet")
	git(t, root, "add", ".")
	git(t, root, "commit", "--quiet", "--message", "first")
	return root
}

func git(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.test", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "GIT_COMMITTER_DATE=2026-11-29T01:02:03Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// made makes a release of the checkout into a folder of its own.
func made(t *testing.T, root string) (folder string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "out")
	r := release{Version: "v0.1.0", Root: root, Out: folder, Programs: []string{"./cmd/shop"}}
	check.NoError(t, r.run(t.Context(), t.Logf))
	return folder
}

// Two releases of one commit are the same, whatever the files of the checkouts are like.
func TestReleasesOfOneCommitAreIdentical(t *testing.T) {
	first := checkout(t)
	second := filepath.Join(t.TempDir(), "elsewhere")
	git(t, first, "clone", "--quiet", first, second)
	check.NoError(t, os.Chtimes(filepath.Join(second, "LICENSE"), time.Now(), time.Unix(0, 0)))
	check.NoError(t, os.Chmod(filepath.Join(second, "LICENSE"), 0o640))
	a, b := made(t, first), made(t, second)
	listed, err := os.ReadFile(filepath.Join(a, "SHA256SUMS"))
	check.NoError(t, err)
	var names []string
	for line := range strings.Lines(string(listed)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		names = append(names, name)
		one, err := os.ReadFile(filepath.Join(a, name))
		check.NoError(t, err)
		other, err := os.ReadFile(filepath.Join(b, name))
		check.NoError(t, err)
		if fmt.Sprintf("%x", sha256.Sum256(one)) != sum {
			t.Errorf("%s has another checksum than %s", name, sum)
		}
		if !bytes.Equal(one, other) {
			t.Errorf("%s differs from one run to the next", name)
		}
	}
	want := []string{"gatehouse_v0.1.0_linux_amd64.tar.gz", "gatehouse_v0.1.0_linux_arm64.tar.gz", "gatehouse_v0.1.0_site.tar.gz", "gatehouse_v0.1.0_sbom.cdx.json"}
	if !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if other, err := os.ReadFile(filepath.Join(b, "SHA256SUMS")); err != nil || !bytes.Equal(listed, other) {
		t.Errorf("the checksums differ: %v", err)
	}
	programs := entries(t, filepath.Join(a, names[0]))
	if got := shown(programs); got != "-rw-r--r-- LICENSE, -rwxr-xr-x shop" {
		t.Errorf("the programs: %s", got)
	}
	site := entries(t, filepath.Join(a, names[2]))
	if got := shown(site); got != "-rw-r--r-- gatehouse_v0.1.0/CHANGELOG.md, -rw-r--r-- gatehouse_v0.1.0/LICENSE, -rw-r--r-- gatehouse_v0.1.0/consul/mesh.json, -rw-r--r-- gatehouse_v0.1.0/nomad/jobs/shop.nomad.hcl" {
		t.Errorf("the site: %s", got)
	}
	for _, h := range append(programs, site...) {
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "root" || h.Gname != "root" || !h.ModTime.Equal(time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)) {
			t.Errorf("%s: %d %d %s %s %s", h.Name, h.Uid, h.Gid, h.Uname, h.Gname, h.ModTime)
		}
	}
	for i, architecture := range architectures() {
		program := entries(t, filepath.Join(a, names[i]))[1]
		info, err := buildinfo.Read(bytes.NewReader(program.content))
		check.NoError(t, err)
		if !slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "GOARCH" && s.Value == architecture }) {
			t.Errorf("the program for %s: %v", architecture, info.Settings)
		}
	}
	if left, err := filepath.Glob(filepath.Join(a, ".*")); err != nil || len(left) > 0 {
		t.Errorf("what was built is still there: %v, %v", left, err)
	}
}

type entry struct {
	*tar.Header

	content []byte
}

func entries(t *testing.T, path string) (all []entry) {
	t.Helper()
	f, err := os.Open(path)
	check.NoError(t, err)
	defer func() { _ = f.Close() }()
	zipped, err := gzip.NewReader(f)
	check.NoError(t, err)
	if !zipped.ModTime.IsZero() || zipped.Name != "" {
		t.Errorf("%s says when and of what it was made: %v", path, zipped.Header)
	}
	for in := tar.NewReader(zipped); ; {
		header, err := in.Next()
		if err == io.EOF {
			return all
		}
		check.NoError(t, err)
		content, err := io.ReadAll(in)
		check.NoError(t, err)
		all = append(all, entry{header, content})
	}
}

func shown(all []entry) string {
	var each []string
	for _, h := range all {
		each = append(each, h.FileInfo().Mode().String()+" "+h.Name)
	}
	return strings.Join(each, ", ")
}

// What no release can be made of is refused in one sentence, before anything is built or removed.
func TestNoRelease(t *testing.T) {
	root := checkout(t)
	git(t, root, "tag", "v0.2.0")
	git(t, root, "commit", "--quiet", "--allow-empty", "--message", "second")
	kept := filepath.Join(root, "dist", "kept")
	check.NoError(t, os.MkdirAll(filepath.Dir(kept), 0o750))
	check.NoError(t, os.WriteFile(kept, nil, 0o600))
	for version, want := range map[string]string{
		"": "is no version", "0.1.0": "is no version", "v0.1": "is no version", "v0.1.0-4-gabcdef1": "is no version", "v0.1.0-dirty": "is no version",
		"1148e1e": "is no version", "v01.0.0": "is no version", "v0.2.0": "is the tag of another commit", "v0.3.0": "has no section [0.3.0]",
	} {
		r := release{Version: version, Root: root, Out: filepath.Join(root, "dist"), Programs: []string{"./cmd/shop"}}
		if err := r.run(t.Context(), t.Logf); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %q", version, err, want)
		}
	}
	check.NoError(t, os.WriteFile(filepath.Join(root, "consul", "new.go"), []byte("package consul\n"), 0o600))
	r := release{Version: "v0.3.0-rc.1", Root: root, Out: filepath.Join(root, "dist"), Programs: []string{"./cmd/shop"}}
	if err := r.run(t.Context(), t.Logf); err == nil || !strings.Contains(err.Error(), "not committed (?? consul/new.go)") {
		t.Errorf("a checkout with changes: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what was made before is gone: %v", err)
	}
}

// The bill of materials names what is linked into a program, of which this test is one.
func TestMaterials(t *testing.T) {
	self, err := os.Executable()
	check.NoError(t, err)
	c := commit{id: "0123456789abcdef", time: time.Unix(1, 0).UTC()}
	content, err := materials("v0.1.0", c, []program{{"shop", self, "arm64"}, {"shop", self, "amd64"}})
	check.NoError(t, err)
	var bom cyclonedx.BOM
	check.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(content), cyclonedx.BOMFileFormatJSON).Decode(&bom))
	refs := map[string]bool{}
	for _, component := range *bom.Components {
		if refs[component.BOMRef] {
			t.Errorf("%s is there twice", component.BOMRef)
		}
		refs[component.BOMRef] = true
	}
	if bom.SerialNumber != "" || bom.Metadata.Timestamp != "1970-01-01T00:00:01Z" || !refs["linux/arm64/shop"] {
		t.Errorf("%s %s %v", bom.SerialNumber, bom.Metadata.Timestamp, refs)
	}
	for _, dependency := range *bom.Dependencies {
		if !slices.ContainsFunc(*dependency.Dependencies, func(ref string) bool {
			return refs[ref] && strings.HasPrefix(ref, "pkg:golang/github.com/CycloneDX/cyclonedx-go@v0.")
		}) {
			t.Errorf("%s does not name a module that it is made of: %v", dependency.Ref, *dependency.Dependencies)
		}
	}
}
