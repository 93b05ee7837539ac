package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/owned"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
)

type auditVerifyLogCommand struct {
	signInFlags  `embed:""`
	trustFlags   `embed:""`
	Organization string `help:"Ask by the right to proofs of this organization, instead of that on the platform." placeholder:"ID"`
	Checkpoint   string `help:"File with the last checkpoint that was verified, which is written anew. Keep it where the platform's administrators cannot reach it." placeholder:"FILE"`
	Quick        bool   `help:"Do not read the whole log: verify that it only grew, and name no place. So it is with --organization, whose right does not reach the whole log."`
}

// verified is what was found good.
type verified struct {
	now   auditlog.Signed
	kept  *auditlog.Signed      // nil when there was none
	whole *auditlog.CheckReport // nil when it was not read
}

// Run verifies the newest checkpoint, that the log begins with the one that was kept, and all its
// leaves.
func (c *auditVerifyLogCommand) Run(console *Console) error {
	ctx, cancel := interruptible()
	defer cancel()
	var v verified
	err := c.session(ctx, console, func(client *rest.Client) (err error) {
		v, err = c.verify(ctx, console, client)
		return err
	})
	return console.verdict(err, func() {
		console.checkpoint(v.now)
		if v.whole != nil {
			console.coloured(green, "good")
			console.printf(": all %s as they were signed", plural(v.whole.Size-v.whole.Lost, "event is", "events are"))
			if v.whole.Gone > 0 {
				console.printf("; of %d of them retention has left the hash only", v.whole.Gone)
			}
			console.printf("\n")
			if v.whole.Lost > 0 {
				console.coloured(yellow, "lost")
				console.printf(": %s gone when the log was reopened, which the event audit.log_reopened of then names\n", plural(v.whole.Lost, "event was", "events were"))
			}
		}
		console.coloured(green, "good")
		if v.kept != nil {
			console.printf(": the log begins with the checkpoint of size %d that was kept, and only grew since\n", v.kept.Size)
		} else {
			console.printf(": the checkpoint is signed as it should be\n")
			console.coloured(yellow, "not known")
			console.printf(": whether the log was rewound, cut or restored from an older backup before now. Nothing in the database can tell")
			if c.Checkpoint == "" {
				console.printf(": keep a checkpoint outside of it with --checkpoint FILE\n")
			} else {
				console.printf("; from now on %s can\n", c.Checkpoint)
			}
		}
		console.unknown(v.now)
	})
}

func (c *auditVerifyLogCommand) verify(ctx context.Context, console *Console, client *rest.Client) (v verified, err error) {
	note, told, err := client.Checkpoint(ctx, c.Organization)
	if err != nil {
		return v, err
	}
	keys, err := c.keys(told)
	if err != nil {
		return v, err
	}
	if v.now, err = keys.Open(note); err != nil {
		return v, &auditlog.Tampered{Place: "the newest checkpoint", Err: err}
	}
	if err := c.witnessed(v.now); err != nil {
		return v, err
	}
	if v.kept, err = c.kept(keys); err != nil {
		return v, err
	}
	if v.kept != nil {
		err = c.follows(ctx, client, *v.kept, v.now)
	}
	var changed *auditlog.Tampered
	if err != nil && !errors.As(err, &changed) {
		return v, err
	}
	if signed := v.checkpoints(); !c.Quick && c.Organization == "" && signed != nil {
		report, found := c.whole(ctx, console, client, keys, signed...)
		if err == nil { // else what was found says where
			err, v.whole = found, &report
		}
	}
	if err != nil || c.Checkpoint == "" {
		return v, err
	}
	if err := owned.Replace(c.Checkpoint, note); err != nil {
		return v, fmt.Errorf("keep the checkpoint: %w", err)
	}
	return v, nil
}

// checkpoints are what the leaves are compared with, the newest first; nil when the log says by
// itself that they are not those of the checkpoint that was kept.
func (v verified) checkpoints() []auditlog.Checkpoint {
	switch {
	case v.kept == nil:
		return []auditlog.Checkpoint{v.now.Checkpoint}
	case v.kept.Origin != v.now.Origin, v.kept.Size > v.now.Size, v.kept.Size == v.now.Size && v.kept.Root != v.now.Root:
		return nil
	}
	return []auditlog.Checkpoint{v.now.Checkpoint, v.kept.Checkpoint}
}

// kept is the checkpoint that was kept, verified; nil when there is none.
func (c *auditVerifyLogCommand) kept(keys auditlog.Keys) (*auditlog.Signed, error) {
	if c.Checkpoint == "" {
		return nil, nil
	}
	text, err := readKept(c.Checkpoint)
	if err != nil || text == nil {
		return nil, err
	}
	before, err := keys.Open(text)
	if err != nil {
		return nil, fmt.Errorf("the kept checkpoint %s: %w", c.Checkpoint, err)
	}
	return &before, nil
}

// follows reports whether the log begins with the tree that was kept.
func (c *auditVerifyLogCommand) follows(ctx context.Context, client *rest.Client, before, now auditlog.Signed) error {
	changed := func(format string, args ...any) error {
		return &auditlog.Tampered{Place: "the log since the kept checkpoint", Err: fmt.Errorf(format, args...)}
	}
	switch {
	case before.Origin != now.Origin:
		return changed("it is another one, %s instead of %s: a reopened log names its last checkpoint in its first event", now.Origin, before.Origin)
	case before.Size > now.Size:
		return changed("it had %d events and has %d: it was cut, rewound or restored from an older backup", before.Size, now.Size)
	case before.Size == now.Size && before.Root != now.Root:
		return changed("of its %d events at least one was changed", now.Size)
	case before.Size == now.Size, before.Size == 0:
		return nil
	}
	proof, err := client.Consistency(ctx, before.Size, now.Size, c.Organization)
	if rest.Refused(err, reason.LogDamaged()) {
		return changed("the platform cannot prove that it only grew: what is stored is not what it signed")
	}
	if err != nil {
		return err
	}
	if err := auditlog.VerifyConsistency(before.Size, now.Size, before.Root, now.Root, proof); err != nil {
		return changed("among its first %d events at least one was changed, removed or moved: %v", before.Size, err)
	}
	return nil
}

// readKept reads a file of this user; nil when there is none yet.
func readKept(name string) ([]byte, error) {
	f, err := owned.Open(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the kept checkpoint: %w", err)
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, auditlog.MaxNote+1))
}
