package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
)

type auditExportCommand struct {
	auditFilter `embed:""`
	span        `embed:""`
	exportTo    `embed:""`
	Format      string `enum:"cloudevents,ocsf,csv" default:"cloudevents" help:"cloudevents: OCSF 1.8.0 in CloudEvents 1.0, one JSON a line; ocsf: the same without the envelope; csv: a table, for files and buckets."`
	Resume      string `help:"File that remembers how far the export is; the next run with it goes on there. Needed with --to." placeholder:"FILE"`
	Once        bool   `help:"With --to, end when what is stored is delivered, instead of following the trail."`
	Source      string `help:"Source that CloudEvents name; the gateway's address when empty." placeholder:"URI"`
	Batch       int    `default:"100" help:"At most so many events at once, 1 to 1000."`
}

const (
	exportBytes = 512 << 10   // of a batch, at which it is not made larger
	exportWait  = time.Second // of an event for others
)

// Run exports events until all are written, or with --to until it is told to stop.
func (c *auditExportCommand) Run(console *Console) (err error) {
	run := &exporting{command: c, console: console, shown: &shown{console: console}}
	if err := run.open(); err != nil {
		return err
	}
	defer run.unlock()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	for again := true; again; { // a session ends some day, and another one begins
		run.heard = false
		err = c.session(ctx, console, func(client *rest.Client) error { return run.with(ctx, client) })
		var problem *rest.Problem
		again = errors.As(err, &problem) && problem.Status == http.StatusUnauthorized && c.Email != "" && run.heard && ctx.Err() == nil
	}
	if run.began {
		run.shown.end(run.state)
	}
	if err == nil && ctx.Err() != nil && !c.follows() {
		return fmt.Errorf("stopped before the end, after %d events", run.state.Events)
	}
	return err
}

// follows reports whether the export goes on when what is stored is delivered.
func (c *auditExportCommand) follows() bool { return c.To != "" && !c.Once }

// check returns why the flags contradict each other.
func (c *auditExportCommand) check() error {
	switch {
	case (c.To == "") == (c.File == ""):
		return errors.New("say where the events go: -o FILE, -o - for standard output, or --to webhook:URL, syslog:HOST:PORT or s3:BUCKET/PREFIX")
	case c.To != "" && c.Resume == "":
		return errors.New("--to needs --resume FILE, where it remembers what is delivered")
	case c.Once && c.To == "":
		return errors.New("--once is for --to: a file ends by itself")
	case c.Batch < 1 || c.Batch > 1000:
		return fmt.Errorf("--batch is %d: give 1 to 1000", c.Batch)
	}
	return nil
}

// exporting is one run.
type exporting struct {
	command *auditExportCommand
	console *Console
	query   url.Values
	since   time.Time // of the events; zero for all
	until   time.Time
	state   *export.State
	fresh   bool
	unlock  func()
	began   bool
	heard   bool // something came in this session
	shown   *shown
}

// open opens the state. Times that were said as how long ago are those of the first run, by which
// they are said again.
func (r *exporting) open() (err error) {
	c := r.command
	if err = c.check(); err != nil {
		return err
	}
	if r.since, r.until, err = c.times(r.console.Now()); err != nil {
		return err
	}
	if r.query, err = c.auditFilter.query(); err != nil {
		return err
	}
	of := export.Of{Target: c.target(), Format: c.Format, Query: r.asked(c.Since.said(r.from()), c.Until.said(r.until)).Encode()}
	r.state, r.fresh, r.unlock, err = export.OpenState(c.Resume, of)
	if err != nil {
		return err
	}
	r.since, r.until = r.state.Within(r.since, r.until)
	r.query = r.asked(r.from().UTC().Format(time.RFC3339Nano), "")
	return nil
}

// from is the time that the stream begins with.
func (r *exporting) from() time.Time {
	if r.since.IsZero() {
		return time.Unix(0, 0)
	}
	return r.since
}

// asked is the query with times. A tail has no end: that is for the state alone.
func (r *exporting) asked(from, until string) url.Values {
	query := maps.Clone(r.query)
	query.Set("start_time", from)
	if until != "" {
		query.Set("end_time", until)
	}
	return query
}

// with exports with a client that has a token.
func (r *exporting) with(ctx context.Context, client *rest.Client) error {
	c := r.command
	writer := format.Writer{Name: c.Format, Source: c.Source}
	if writer.Source == "" {
		writer.Source = client.URL
	}
	receiver, line, closed, err := c.receiver(r.console, writer, r.state, r.fresh)
	if err != nil {
		return err
	}
	defer closed()
	r.fresh, r.began = false, true
	x := export.Export{
		Source: r.source(client), Receiver: receiver, State: r.state, Line: line, Wants: r.wants,
		Size: c.Batch, Bytes: exportBytes, Wait: exportWait, Pause: time.Second, Told: r.told, Done: r.shown.done,
	}
	return x.Run(ctx)
}

func (r *exporting) source(client *rest.Client) export.Source {
	return func(ctx context.Context, cursor string, each func(json.RawMessage, string) error) error {
		query := url.Values{}
		for name, values := range r.query {
			if name != "start_time" || cursor == "" {
				query[name] = values
			}
		}
		return client.StreamEvents(ctx, rest.EventStream{
			Query: query, Cursor: cursor, StoredOnly: !r.command.follows(), Told: r.told,
			Each: func(raw json.RawMessage, cursor string) error {
				r.heard = true
				return each(raw, cursor)
			},
		})
	}
}

// wants reports whether an event happened in the time that is asked for.
func (r *exporting) wants(e format.Event) bool {
	return !e.Time.Before(r.since) && (r.until.IsZero() || e.Time.Before(r.until))
}

func (r *exporting) told(err error) {
	fmt.Fprintf(r.console.Err, "gatehouse: %v; trying again\n", err)
}
