package logs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/owned"
)

// pollEvery is how often files are looked at for more.
const pollEvery = 200 * time.Millisecond

// file is one followed file. A line is printed when it is whole.
type file struct {
	path   string
	prefix string
	offset int64
}

// Follow prints the files to w, as tail -f does, each line after the name of its file when there
// are several, and goes on with what is added to them until the context ends when it is to follow.
// A file that was emptied is read from its beginning.
func Follow(ctx context.Context, w io.Writer, paths []string, more bool) error {
	files := make([]*file, len(paths))
	for i, path := range paths {
		files[i] = &file{path: path}
		if len(paths) > 1 {
			files[i].prefix = strings.TrimSuffix(filepath.Base(path), ".log") + " | "
		}
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		for _, f := range files {
			if err := f.print(w, more); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (f *file) print(w io.Writer, more bool) error {
	in, err := owned.Open(f.path, os.O_RDONLY, 0)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	defer func() { _ = in.Close() }()
	if info, err := in.Stat(); err == nil && info.Size() < f.offset {
		f.offset = 0
	}
	if _, err := in.Seek(f.offset, io.SeekStart); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF && (line == "" || more) {
			return nil // the rest of the line comes later
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("read log: %w", err)
		}
		f.offset += int64(len(line))
		if _, err := fmt.Fprintf(w, "%s%s\n", f.prefix, strings.TrimSuffix(line, "\n")); err != nil {
			return fmt.Errorf("print log: %w", err)
		}
	}
}
