package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGoCode(t *testing.T) {
	files, err := run(t, protos(t, "testdata/good"), "go=true")
	if err != nil {
		t.Fatal(err)
	}
	flat := map[string]string{}
	for name, text := range files {
		flat[strings.ReplaceAll(name, "/", "_")] = text
	}
	golden(t, "testdata/good/want-go", flat)
}

// Each reason of the contracts has a page with what its programs say; the kernel's have theirs too.
func TestPages(t *testing.T) {
	files, err := run(t, protos(t, "testdata/good"), "problems=true")
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]string{}
	for _, name := range []string{"sold-out.md", "order-id-taken.md", "order-not-found.md", "stock-unavailable.md"} {
		own[name] = files[name]
	}
	golden(t, "testdata/good/want-problems", own)
	if len(files) < len(own)+50 || files["README.md"] == "" || files["database-busy.md"] == "" {
		t.Errorf("%d pages", len(files))
	}
	for name := range own {
		if !strings.Contains(files["README.md"], "("+name+")") {
			t.Errorf("%s is not in the list", name)
		}
	}
}

// The pages are those of the committed contracts.
func TestCommittedPagesAreCurrent(t *testing.T) {
	want, err := run(t, committed(t), "problems=true")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(repository, "docs/problems", name))
		if err != nil || string(got) != text {
			t.Errorf("%s is not what the contracts say: run make generate (%v)", name, err)
		}
	}
}

// The committed lists name every program of the committed contracts.
func TestCommittedGoCodeIsCurrent(t *testing.T) {
	want, err := run(t, committed(t), "go=true")
	if err != nil {
		t.Fatal(err)
	}
	if len(want) < 5 {
		t.Fatalf("only %d files", len(want))
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(repository, "proto/gen/go", name))
		if err != nil || string(got) != text {
			t.Errorf("%s is not what the contracts say: run make generate (%v)", name, err)
		}
	}
}
