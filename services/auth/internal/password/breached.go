package password

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the form in which such lists are published; it protects nothing here
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	hashDigits  = 2 * sha1.Size // of a line
	longestLine = 64            // bytes, with the count and the line's end
)

// Breached is a list of passwords that were found in breaches: a file with the SHA-1 of each in
// hexadecimal, one on a line and sorted, as Have I Been Pwned publishes it; a colon and a count may
// follow. It is searched in place, so that its size costs no memory. Safe for concurrent use.
type Breached struct {
	file io.ReaderAt
	size int64
	name string
}

// OpenBreached opens a list and reads enough of it to tell that it is one. It stays open as long as
// the process.
func OpenBreached(path string) (*Breached, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	list := &Breached{file: file, size: info.Size(), name: path}
	if err := list.probe(); err != nil {
		_ = file.Close()
		return nil, err
	}
	return list, nil
}

// probe looks at lines all over the file.
func (b *Breached) probe() error {
	const places = 256
	if b.size == 0 {
		return fmt.Errorf("%s is empty", b.name)
	}
	var before string
	for i := range int64(places) {
		l, err := b.at(i * (b.size - 1) / (places - 1))
		if err != nil {
			return err
		}
		if l.hash < before {
			return fmt.Errorf("%s is not sorted: %s comes after %s", b.name, l.hash, before)
		}
		before = l.hash
	}
	return nil
}

// Contains reports whether the list has a password, which must be normalised.
func (b *Breached) Contains(password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see the import
	wanted := fmt.Sprintf("%X", sum)
	for low, high := int64(0), b.size; low < high; {
		l, err := b.at(low + (high-low)/2)
		if err != nil {
			return false, err
		}
		switch {
		case l.hash == wanted:
			return true, nil
		case l.hash < wanted:
			low = l.end
		default:
			high = l.start
		}
	}
	return false, nil
}

// line is one of the file, from start to before end.
type line struct {
	hash       string // in upper case
	start, end int64
}

// at returns the line that the byte at an offset belongs to.
func (b *Breached) at(offset int64) (line, error) {
	from := max(0, offset-longestLine)
	window := make([]byte, min(b.size, offset+longestLine)-from)
	if _, err := b.file.ReadAt(window, from); err != nil && !errors.Is(err, io.EOF) {
		return line{}, fmt.Errorf("read %s: %w", b.name, err)
	}
	at := int(offset - from)
	start := bytes.LastIndexByte(window[:at], '\n') + 1
	end := len(window)
	if i := bytes.IndexByte(window[at:], '\n'); i >= 0 {
		end = at + i + 1
	}
	text := bytes.TrimRight(window[start:end], "\r\n")
	hash, _, _ := bytes.Cut(text, []byte(":"))
	if _, err := hex.DecodeString(string(hash)); err != nil || len(hash) != hashDigits {
		return line{}, fmt.Errorf("%s is no list of breached passwords at byte %d: each line is the SHA-1 of one in hexadecimal", b.name, from+int64(start))
	}
	return line{string(bytes.ToUpper(hash)), from + int64(start), from + int64(end)}, nil
}
