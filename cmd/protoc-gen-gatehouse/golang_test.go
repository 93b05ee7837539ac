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
