package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
)

// pipe is standard output for what other programs read, byte by byte; the header is written to it.
// On a terminal it is what people see of it.
func (c *Console) pipe(header []byte) io.Writer {
	to := c.Out
	if c.out == nil && c.plain != nil {
		to = c.plain
	}
	_, _ = to.Write(header) // what cannot be written fails at the first event
	return to
}

// shown is how far an export is, for who looks.
type shown struct {
	console *Console
	last    time.Time
}

// done shows progress, four times a second at most.
func (s *shown) done(p export.Progress) {
	if now := s.console.Now(); now.Sub(s.last) > 250*time.Millisecond {
		s.last = now
		s.console.progress("%d events, up to %s", p.Events, p.Time.UTC().Format(time.DateTime))
	}
}

// end says what is delivered.
func (s *shown) end(state *export.State) {
	s.console.progress("")
	fmt.Fprintf(s.console.Err, "%d events are delivered\n", state.Events)
}
