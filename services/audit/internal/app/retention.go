package app

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/internal/visible"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// verbTimeout bounds a verb that the operator waits for. An erasure reads all personal values.
const verbTimeout = time.Hour

// RetentionCommand says how long events are kept.
type RetentionCommand struct {
	List RetentionListConfig `cmd:"" help:"Print how long events are kept, and until when they are gone."`
	Set  RetentionSetConfig  `cmd:"" help:"Keep the events of a class for so many days, of one organization or of all."`
}

// RetentionListConfig is everything that `audit retention list` can be told.
type RetentionListConfig struct {
	Postgres pg.Config `embed:""`
}

// Run is `audit retention list`.
func (c *RetentionListConfig) Run(p program.Process) error {
	return verb(c.Postgres, func(ctx context.Context, u *postgres.Upkeep) error {
		all, err := u.Retentions(ctx)
		if err != nil {
			return err
		}
		for _, r := range all {
			if err := printRetention(p.Stdout, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func printRetention(w io.Writer, r trail.Retention) error {
	whose := "all"
	if r.OrganizationID != "" {
		whose = r.OrganizationID
	}
	gone := "nothing is gone"
	if !r.Since.IsZero() {
		gone = "gone before " + r.Since.UTC().Format(time.RFC3339)
	}
	if r.Days == 0 {
		return sayf(w, "%-36s  %-8s  for ever    %s\n", whose, r.Class, gone)
	}
	return sayf(w, "%-36s  %-8s  %5d days  %s\n", whose, r.Class, r.Days, gone)
}

// RetentionSetConfig is everything that `audit retention set` can be told.
type RetentionSetConfig struct {
	Postgres     pg.Config `embed:""`
	Class        string    `required:"" help:"changes, sign_ins or refusals." placeholder:"CLASS"`
	Organization string    `help:"Only of this organization; of all that have none of their own, and of the platform, when empty." placeholder:"ID"`
	Days         int       `required:"" help:"7 to 36500; 0 keeps them for ever." placeholder:"N"`
	Reason       string    `required:"" help:"Why, for whoever reads the trail." placeholder:"TEXT"`
}

// Run is `audit retention set`.
func (c *RetentionSetConfig) Run(p program.Process) error {
	return verb(c.Postgres, func(ctx context.Context, u *postgres.Upkeep) error {
		err := u.SetRetention(ctx, trail.Retention{OrganizationID: c.Organization, Class: trail.Class(c.Class), Days: c.Days}, c.Reason)
		if err == nil {
			err = sayf(p.Stdout, "it counts from the next `audit keep` on\n")
		}
		return err
	})
}

// HoldCommand keeps events from retention and erasure.
type HoldCommand struct {
	Set  HoldSetConfig  `cmd:"" help:"Keep the events that match all that is given, until the hold is lifted; prints its id."`
	Lift HoldLiftConfig `cmd:"" help:"End a hold."`
	List HoldListConfig `cmd:"" help:"Print the holds that are not lifted."`
}

// HoldSetConfig is everything that `audit hold set` can be told.
type HoldSetConfig struct {
	Postgres     pg.Config `embed:""`
	Organization string    `help:"What happened in this organization." placeholder:"ID"`
	Subject      string    `help:"What this user or program did, and what was done to this user or other object." placeholder:"ID"`
	Since        time.Time `help:"What happened from this time on (RFC 3339)." placeholder:"TIME"`
	Until        time.Time `help:"What happened before this time (RFC 3339)." placeholder:"TIME"`
	Reason       string    `required:"" help:"Why, for whoever reads the trail." placeholder:"TEXT"`
}

// Run is `audit hold set`.
func (c *HoldSetConfig) Run(p program.Process) error {
	return verb(c.Postgres, func(ctx context.Context, u *postgres.Upkeep) error {
		id, err := u.SetHold(ctx, trail.Hold{OrganizationID: c.Organization, SubjectID: c.Subject, Since: c.Since, Until: c.Until, Reason: c.Reason})
		if err == nil {
			err = sayf(p.Stdout, "%s\n", id)
		}
		return err
	})
}

// HoldLiftConfig is everything that `audit hold lift` can be told.
type HoldLiftConfig struct {
	Postgres pg.Config `embed:""`
	ID       string    `name:"id" required:"" help:"Of the hold." placeholder:"ID"`
	Reason   string    `required:"" help:"Why, for whoever reads the trail." placeholder:"TEXT"`
}

// Run is `audit hold lift`.
func (c *HoldLiftConfig) Run(p program.Process) error {
	return verb(c.Postgres, func(ctx context.Context, u *postgres.Upkeep) error {
		err := u.LiftHold(ctx, c.ID, c.Reason)
		if err == nil {
			err = sayf(p.Stdout, "the hold is lifted; what it kept goes with the next `audit keep`, and with another `audit erase`\n")
		}
		return err
	})
}

// HoldListConfig is everything that `audit hold list` can be told.
type HoldListConfig struct {
	Postgres pg.Config `embed:""`
}

// Run is `audit hold list`.
func (c *HoldListConfig) Run(p program.Process) error {
	return verb(c.Postgres, func(ctx context.Context, u *postgres.Upkeep) error {
		all, err := u.Holds(ctx)
		if err != nil {
			return err
		}
		for _, h := range all {
			err := sayf(p.Stdout, "%s  organization %s  subject %s  %s to %s  %s\n",
				h.ID, orAny(h.OrganizationID), orAny(visible.Text(h.SubjectID)), timeOrAny(h.Since), timeOrAny(h.Until), visible.Text(h.Reason))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func orAny(text string) string {
	if text == "" {
		return "any"
	}
	return text
}

func timeOrAny(t time.Time) string {
	if t.IsZero() {
		return "any"
	}
	return t.UTC().Format(time.RFC3339)
}

// EraseConfig is everything that `audit erase` can be told.
type EraseConfig struct {
	Postgres pg.Config `embed:""`
	User     string    `help:"Id of the user." placeholder:"ID"`
	Address  []string  `sep:"none" help:"A mail address of the person, beside those that events about the user hold; may be given several times, and without --user." placeholder:"ADDRESS"`
	Reason   string    `required:"" help:"Why, for whoever reads the trail; it is kept, so name nobody." placeholder:"TEXT"`
}

// Run is `audit erase`.
func (c *EraseConfig) Run(p program.Process) error {
	return verb(c.Postgres, func(ctx context.Context, u *postgres.Upkeep) error {
		done, err := u.Erase(ctx, postgres.Erasure{UserID: c.User, Addresses: c.Address, Reason: c.Reason})
		if err != nil {
			return err
		}
		if err := sayf(p.Stdout, "%d personal values are erased; a hold keeps %d\n", done.Values, done.Held); err != nil || done.Waiting == 0 {
			return err
		}
		return sayf(p.Stdout, "%d events of the user are on their way to the trail: erase again in a minute\n", done.Waiting)
	})
}

// verb runs fn as the owner of the schema, and says nothing of its own.
func verb(c pg.Config, fn func(context.Context, *postgres.Upkeep) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	return owning(ctx, c, slog.New(slog.DiscardHandler), func(u *postgres.Upkeep) error { return fn(ctx, u) })
}
