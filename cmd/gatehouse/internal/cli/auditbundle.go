package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
)

// How long an event may wait for the checkpoint that covers it: it is a second behind at most.
const (
	coverTries = 20
	coverPause = 500 * time.Millisecond
)

type auditBundleCommand struct {
	auditFilter `embed:""`
	trustFlags  `embed:""`
	span        `embed:""`
	File        string `arg:"" help:"Bundle that is written, with a name that does not exist yet. It holds personal values: keep it like them."`
	RequestID   string `help:"Only what this request did." placeholder:"ID"`
	Limit       int    `short:"n" default:"1000" help:"At most so many events, the newest; more is an error."`
}

// Run writes a bundle of the events that match, each verified as its reader will.
func (c *auditBundleCommand) Run(console *Console) error {
	if c.Limit < 1 || c.Limit > 20_000 {
		return fmt.Errorf("--limit is %d: give 1 to 20000", c.Limit)
	}
	if len(c.Witness) > 0 && len(c.Key) == 0 { // a cosignature says nothing of whose log it is
		_, err := c.keys(nil)
		return err
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
	ctx, cancel := interruptible()
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		ids, err := c.events(ctx, client, query)
		if err != nil {
			return err
		}
		b := bundling{client: client, organization: c.Organization, console: console}
		if err := b.prove(ctx, ids); err != nil {
			return err
		}
		if len(c.Key) > 0 {
			keys, err := c.keys(nil)
			if err != nil {
				return err
			}
			signed, err := keys.Open(b.note)
			if err == nil {
				err = c.witnessed(signed)
			}
			if err != nil {
				return fmt.Errorf("the platform's checkpoint: %w", err)
			}
		}
		if err := b.write(c.File); err != nil {
			return err
		}
		console.printf("%s: %s under the checkpoint of size %d of %s\n", c.File, plural(len(b.entries), "event", "events"), b.head.Size, b.head.Origin)
		return nil
	})
}

// events are the ids of what matches.
func (c *auditBundleCommand) events(ctx context.Context, client *rest.Client, query url.Values) ([]string, error) {
	var ids []string
	err := client.ListEvents(ctx, query, c.Limit+1, func(e rest.Event) error {
		ids = append(ids, e.ID)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(ids) == 0:
		return nil, errors.New("no event matches: nothing is written")
	case len(ids) > c.Limit:
		return nil, fmt.Errorf("more than %d events match: narrow them down with --since and --until, or raise --limit", c.Limit)
	}
	return ids, nil
}

// bundling is a bundle on its way.
type bundling struct {
	client       *rest.Client
	organization string
	console      *Console

	note    []byte
	keys    []string
	head    auditlog.Checkpoint
	entries []auditlog.Entry
}

// prove gets the proofs of all events under one checkpoint. When that does not cover the newest of
// them yet, a newer one will.
func (b *bundling) prove(ctx context.Context, ids []string) error {
	for try := 1; ; try++ {
		err := b.under(ctx, ids)
		if err == nil || try == coverTries || !rest.Refused(err, reason.EventNotCovered()) && !rest.Refused(err, reason.CheckpointNotYet()) {
			b.console.progress("")
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(coverPause):
		}
	}
}

func (b *bundling) under(ctx context.Context, ids []string) (err error) {
	if b.note, b.keys, err = b.client.Checkpoint(ctx, b.organization); err != nil {
		return err
	}
	if b.head, err = auditlog.ParseNote(b.note); err != nil {
		return err
	}
	b.entries = b.entries[:0]
	for i, id := range ids {
		b.console.progress("%d of %d proofs", i, len(ids))
		entry, err := b.client.EventProof(ctx, id, b.head.Size, b.organization)
		if err != nil {
			return fmt.Errorf("event %s: %w", id, err)
		}
		if _, err := auditlog.VerifyEntry(b.head, entry); err != nil {
			return fmt.Errorf("the platform proves nothing: %w", err)
		}
		b.entries = append(b.entries, entry)
	}
	slices.SortFunc(b.entries, func(a, b auditlog.Entry) int { return cmp.Compare(a.Index, b.Index) })
	return nil
}

// write makes the file, whole or not at all.
func (b *bundling) write(name string) error {
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s exists: name another file, or remove it", name)
	}
	file, err := os.CreateTemp(filepath.Dir(name), ".bundle-*")
	if err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // it has its own name by then
	w, err := auditlog.NewBundleWriter(file, b.note, b.keys)
	for i := 0; err == nil && i < len(b.entries); i++ {
		err = w.Add(b.entries[i])
	}
	if err == nil {
		err = w.Close()
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), name); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}
