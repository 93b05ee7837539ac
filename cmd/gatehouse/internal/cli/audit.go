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
}

// auditFlags say who asks and which events are meant.
type auditFlags struct {
	signInFlags  `embed:""`
	Actor        string `help:"Only what this user or program did." placeholder:"ID"`
	Object       string `help:"Only what was done to this object." placeholder:"TYPE:ID"`
	Organization string `help:"Only what happened in this organization." placeholder:"ID"`
	Action       string `help:"Only this action." placeholder:"user.updated"`
	Outcome      string `enum:",success,failure,denied" default:"" help:"Only this outcome: success, failure or denied."`
	Output       string `short:"o" enum:"text,json" default:"text" help:"text, or json: one event a line."`
}

// query is the flags as the gateway wants them.
func (c *auditFlags) query() (url.Values, error) {
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
	return query, nil
}

// print shows one event.
func (c *auditFlags) print(console *Console) func(rest.Event) error {
	return func(e rest.Event) error {
		if c.Output == "json" {
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
		console.printf("%s  %-28s  %-32s  %s → %s  (%s)%s\n",
			e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), visible.Text(e.Action), visible.Text(outcome),
			named(e.Actor.Type, e.Actor.ID), named(e.ObjectType, e.ObjectID), visible.Text(e.Source), origin(e))
		return nil
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
	RequestID  string    `help:"Only what this request did." placeholder:"ID"`
	Since      time.Time `help:"Only from this time on (RFC 3339)." placeholder:"TIME"`
	Until      time.Time `help:"Only before this time (RFC 3339)." placeholder:"TIME"`
	Limit      int       `short:"n" default:"50" help:"At most so many events."`
}

// Run prints events.
func (c *auditListCommand) Run(console *Console) error {
	if c.Limit < 1 {
		return fmt.Errorf("--limit is %d: give 1 or more", c.Limit)
	}
	query, err := c.query()
	if err != nil {
		return err
	}
	if c.RequestID != "" {
		query.Set("request_id", c.RequestID)
	}
	if !c.Since.IsZero() {
		query.Set("start_time", c.Since.UTC().Format(time.RFC3339Nano))
	}
	if !c.Until.IsZero() {
		query.Set("end_time", c.Until.UTC().Format(time.RFC3339Nano))
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		return client.ListEvents(ctx, query, c.Limit, c.print(console))
	})
}

type auditTailCommand struct {
	auditFlags `embed:""`
	Cursor     string `help:"Go on after this cursor of an earlier stream; from now on when empty." placeholder:"CURSOR"`
}

// Run prints events until it is told to stop.
func (c *auditTailCommand) Run(console *Console) error {
	query, err := c.query()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		return client.FollowEvents(ctx, query, c.Cursor, c.print(console), func(err error) {
			fmt.Fprintf(console.Err, "gatehouse: %v; trying again\n", err)
		})
	})
}
