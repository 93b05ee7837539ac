package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type auditCommand struct {
	List auditListCommand `cmd:"" help:"Print events of the audit trail, newest first."`
	Tail auditTailCommand `cmd:"" help:"Print events as they happen; Ctrl-C ends."`

	Key     auditKeyCommand     `cmd:"" help:"Print the verifier keys of the log, the newest first: the operator hands them to auditors and witnesses."`
	Bundle  auditBundleCommand  `cmd:"" help:"Write a bundle: events with proofs that anybody can verify without the platform."`
	Verify  auditVerifyCommand  `cmd:"" help:"Prove that the trail only grew, or that the events of a bundle are in it as they were stored. Exit codes: 0 good, 1 tampered, 2 not verified."`
	Witness auditWitnessCommand `cmd:"" help:"Watch logs from outside: cosign their checkpoints as long as they only grow (C2SP tlog-witness). Ctrl-C ends."`
	Reopen  auditReopenCommand  `cmd:"" help:"Let the log sign again after a restore or a rewind, under its next name, as an administrator."`
	Export  auditExportCommand  `cmd:"" help:"Write events in the forms of other systems to a file, or deliver them to a webhook, a syslog server or a bucket."`

	Keep      auditOwnerCommand `cmd:"" passthrough:"" help:"Run the daily work of the trail's owner; with --once now. As an operator of Nomad (NOMAD_ADDR), or of gatehouse up."`
	Retention auditOwnerCommand `cmd:"" passthrough:"" help:"Say how long events are kept (list, set), as keep."`
	Hold      auditOwnerCommand `cmd:"" passthrough:"" help:"Keep events from retention and erasure (set, lift, list), as keep."`
	Erase     auditOwnerCommand `cmd:"" passthrough:"" help:"Erase the personal values of a user, or of a mail address, from the trail, as keep."`
}

// auditFilter says who asks and which events are meant.
type auditFilter struct {
	signInFlags  `embed:""`
	Actor        string `help:"Only what this user or program did." placeholder:"ID"`
	Object       string `help:"Only what was done to this object." placeholder:"TYPE:ID"`
	Organization string `help:"Only what happened in this organization." placeholder:"ID"`
	Action       string `help:"Only this action." placeholder:"user.updated"`
	Outcome      string `enum:",success,failure,denied" default:"" help:"Only this outcome: success, failure or denied."`
	Search       string `help:"Only with these words, or beginnings of words, in the names and addresses of mails that the event holds." placeholder:"WORDS"`
}

// auditFlags are a filter, and how events are shown.
type auditFlags struct {
	auditFilter `embed:""`
	Output      string `short:"o" enum:"table,json,ndjson" default:"table" help:"table, json, or ndjson: one event a line. What tail prints has no end: its json is ndjson."`
}

// query is the flags as the gateway wants them.
func (c *auditFilter) query() (url.Values, error) {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	if c.Object != "" {
		kind, id, ok := strings.Cut(c.Object, ":")
		if !ok {
			return nil, fmt.Errorf("--object is %q: write its type and id, such as user:8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01", c.Object)
		}
		set("object_type", kind)
		set("object_id", id)
	}
	set("actor_id", c.Actor)
	set("organization_id", c.Organization)
	set("action", c.Action)
	set("outcome", c.Outcome)
	set("search", c.Search)
	return query, nil
}

// print shows one event.
func (c *auditFlags) print(console *Console) func(rest.Event) error {
	return func(e rest.Event) error {
		if c.Output != "table" {
			text, err := oneLine(e.Raw)
			if err == nil {
				console.printf("%s\n", text)
			}
			return err
		}
		outcome := e.Outcome
		if e.Reason != "" {
			outcome += " " + e.Reason
		}
		if e.Count > 1 {
			outcome += fmt.Sprintf(" ×%d", e.Count)
		}
		console.printf("%s  %-28s  ", e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), visible.Text(e.Action))
		console.coloured(shade(e.Outcome), fmt.Sprintf("%-32s", visible.Text(outcome)))
		console.printf("  %s → %s  (%s)%s", named(e.Actor.Type, e.Actor.ID), named(e.ObjectType, e.ObjectID), visible.Text(e.Source), origin(e))
		if e.Damaged {
			console.coloured(red, "  damaged: what is stored is no event")
		}
		console.printf("\n")
		return nil
	}
}

// shade is the colour of an outcome.
func shade(outcome string) colour {
	switch outcome {
	case "success":
		return green
	case "denied":
		return red
	default:
		return yellow
	}
}

// array shows events as the elements of one array of JSON; end closes it.
func (c *auditFlags) array(console *Console) (each func(rest.Event) error, end func()) {
	before := "["
	each = func(e rest.Event) error {
		text, err := oneLine(e.Raw)
		if err == nil {
			console.printf("%s%s", before, text)
			before = ",\n"
		}
		return err
	}
	return each, func() {
		if before == "[" {
			console.printf("[")
		}
		console.printf("]\n")
	}
}

// origin is where the request came from, as far as whoever asks may see it.
func origin(e rest.Event) (text string) {
	if e.ClientAddress != "" {
		text = "  from " + visible.Text(e.ClientAddress)
	}
	if e.ClientAgent != "" {
		text += "  by " + visible.Text(e.ClientAgent)
	}
	return text
}

func named(kind, id string) string {
	switch {
	case kind == "" && id == "":
		return "-"
	case id == "":
		return visible.Text(kind)
	}
	return visible.Text(kind + ":" + id)
}

// oneLine is an event as one line of JSON.
func oneLine(raw []byte) (string, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		return "", fmt.Errorf("print an event: %w", err)
	}
	return compact.String(), nil
}

type auditListCommand struct {
	auditFlags `embed:""`
	span       `embed:""`
	RequestID  string `help:"Only what this request did." placeholder:"ID"`
	Limit      int    `short:"n" default:"50" help:"At most so many events."`
}

// Run prints events. Where they go to a file or another program, who looks sees how many there are.
func (c *auditListCommand) Run(console *Console) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit is %d: give 1 or more", c.Limit)
	}
	query, err := c.query()
	if err != nil {
		return err
	}
	since, until, err := c.times(console.Now())
	if err != nil {
		return err
	}
	between(query, c.RequestID, since, until)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	each, end := c.print(console), func() {}
	if c.Output == "json" {
		each, end = c.array(console)
	}
	s := tally{console: console}
	err = c.session(ctx, console, func(client *rest.Client) error { return client.ListEvents(ctx, query, c.Limit, s.counting(each)) })
	s.end()
	if err == nil {
		end()
	}
	return err
}

// tally is how many events were printed, for who looks elsewhere than where they go.
type tally struct {
	console *Console
	events  int
	last    time.Time
}

// counting shows the number four times a second at most.
func (s *tally) counting(each func(rest.Event) error) func(rest.Event) error {
	if s.console.out != nil {
		return each
	}
	return func(e rest.Event) error {
		s.events++
		if now := s.console.Now(); now.Sub(s.last) > 250*time.Millisecond {
			s.last = now
			s.console.progress("%d events, back to %s", s.events, e.Time.UTC().Format(time.DateTime))
		}
		return each(e)
	}
}

func (s *tally) end() {
	if s.events > 0 {
		s.console.progress("")
	}
}

// between narrows a query down to a request and to times, those that are set.
func between(query url.Values, request string, since, until time.Time) {
	if request != "" {
		query.Set("request_id", request)
	}
	if !since.IsZero() {
		query.Set("start_time", since.UTC().Format(time.RFC3339Nano))
	}
	if !until.IsZero() {
		query.Set("end_time", until.UTC().Format(time.RFC3339Nano))
	}
}

type auditTailCommand struct {
	auditFlags `embed:""`
	Since      moment `help:"Begin with what was stored of this time or later: RFC 3339, or how long ago, such as 2h or 7d. From now on without it." placeholder:"TIME"`
	Cursor     string `help:"Go on after this cursor of an earlier stream." placeholder:"CURSOR"`
}

// Run prints events until it is told to stop.
func (c *auditTailCommand) Run(console *Console) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	since, err := c.Since.at("--since", console.Now())
	if err != nil {
		return err
	}
	between(query, "", since, time.Time{})
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		return client.FollowEvents(ctx, query, c.Cursor, c.print(console), func(err error) {
			fmt.Fprintf(console.Err, "gatehouse: %v; trying again\n", err)
		})
	})
}
