package cli

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/term"
)

// colour is a number of ECMA-48 (SGR) for a terminal.
type colour int

const (
	red    colour = 31
	green  colour = 32
	yellow colour = 33
)

// terminal is where somebody looks, as it is: what is written here is obeyed. Nil where nobody
// does. Only our own colours and the line of the progress are written to it.
func terminal(w io.Writer, environ []string) io.Writer {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || slices.Contains(environ, "TERM=dumb") {
		return nil
	}
	return f
}

// colours reports whether colours are wanted where a terminal is (https://no-color.org).
func colours(environ []string) bool {
	return !slices.ContainsFunc(environ, func(pair string) bool { return len(pair) > len("NO_COLOR=") && pair[:len("NO_COLOR=")] == "NO_COLOR=" })
}

// coloured writes a word to standard output, in a colour where somebody looks.
func (c *Console) coloured(shade colour, word string) {
	if c.out == nil || !colours(c.Environ) {
		c.printf("%s", word)
		return
	}
	_, _ = fmt.Fprintf(c.out, "\x1b[%dm", int(shade))
	c.printf("%s", word)
	_, _ = io.WriteString(c.out, "\x1b[0m")
}

// progress replaces the line that shows how far the work is; without a text there is none any more.
func (c *Console) progress(format string, args ...any) {
	if c.err != nil {
		_, _ = io.WriteString(c.err, "\r\x1b[K")
		_, _ = fmt.Fprintf(c.Err, format, args...)
	}
}
