// Package visible makes visible what a terminal would obey or not show at all: controls of ASCII
// and C1, marks that turn the direction of text, characters without a width, line ends that are not
// a line feed, and bytes that are not UTF-8 (R92).
//
// Each becomes \uXXXX, in UTF-16, so that a line of JSON stays one and means the same. Whatever
// prints what people typed or sent does it through this package; everybody may import it.
package visible

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns one line of s: tabs and line feeds are made visible too.
func Text(s string) string {
	if plainASCII(s) && !strings.Contains(s, "\n") {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		write(&b, r, graphic(r))
	}
	return b.String()
}

// Writer makes visible what is written through it, but for line feeds and tabs: they lay out text
// of several lines. Each Write is one Write below it; a character that is cut in two is completed
// by the next. It is safe for concurrent use.
type Writer struct {
	mu  sync.Mutex
	to  io.Writer
	cut []byte // the beginning of a character
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{to: w} }

// Write writes p, and says that it wrote all of it or why not.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.cut) == 0 && plainASCII(p) { // as nearly every line is
		return w.to.Write(p)
	}
	text := string(append(w.cut, p...))
	w.cut = nil
	if n := incomplete(text); n > 0 {
		w.cut, text = []byte(text[len(text)-n:]), text[:len(text)-n]
	}
	if !plainASCII(text) {
		var b strings.Builder
		for _, r := range text {
			write(&b, r, r == '\n' || r == '\t' || graphic(r))
		}
		text = b.String()
	}
	if _, err := io.WriteString(w.to, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

func write(b *strings.Builder, r rune, asIs bool) {
	if asIs {
		b.WriteRune(r)
		return
	}
	for _, unit := range utf16.Encode([]rune{r}) {
		fmt.Fprintf(b, `\u%04x`, unit)
	}
}

// graphic reports whether r is seen, and nothing but seen. Some letters and marks are made to be
// ignored by whoever shows them.
func graphic(r rune) bool {
	return r != utf8.RuneError && unicode.IsGraphic(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// plainASCII reports whether there is nothing to do, as for most lines.
func plainASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\n' || s[i] > '~' {
			return false
		}
	}
	return true
}

// incomplete returns how many bytes at the end of s begin a character that is not all there.
func incomplete(s string) int {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if tail := s[len(s)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRuneInString(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
