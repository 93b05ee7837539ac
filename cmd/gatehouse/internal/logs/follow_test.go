package logs_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
)

func write(t *testing.T, path, text string, flags int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSeveralFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.log"), filepath.Join(dir, "two.log")
	write(t, one, "a\nb", 0)
	write(t, two, "c\n", 0)
	var out bytes.Buffer
	if err := logs.Follow(t.Context(), &out, []string{one, two}, false); err != nil {
		t.Fatal(err)
	}
	if want := "one | a\none | b\ntwo | c\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestFollowsWhatIsAddedAndAfterAnEmptying(t *testing.T) {
	path := filepath.Join(t.TempDir(), "one.log")
	write(t, path, "first\n", 0)
	ctx, cancel := context.WithCancel(t.Context())
	read, pipe := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- logs.Follow(ctx, pipe, []string{path}, true) }()
	lines := bufio.NewScanner(read)
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %q, want %q", lines.Text(), want)
		}
	}
	next("first")
	write(t, path, "second\n", os.O_APPEND)
	next("second")
	write(t, path, "new\n", os.O_TRUNC)
	next("new")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
