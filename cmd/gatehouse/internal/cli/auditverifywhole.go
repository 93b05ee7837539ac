package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/visible"
)

// shownFindings are named one by one; the others are counted.
const shownFindings = 20

// whole reads all leaves up to the newest checkpoint and compares them with the tree, and that with
// the checkpoints. What was changed is shown, and is an error that names the first place.
func (c *auditVerifyLogCommand) whole(
	ctx context.Context, console *Console, client *rest.Client, keys auditlog.Keys, signed ...auditlog.Checkpoint,
) (auditlog.CheckReport, error) {
	var checking *auditlog.Check
	now := signed[0]
	err := client.ReadLog(ctx, &rest.LogRead{
		Size: now.Size,
		Edge: func(checkpoints []string) (err error) {
			for _, note := range checkpoints { // what is not signed only narrows nothing down
				if s, err := keys.Open([]byte(note)); err == nil && s.Origin == now.Origin && s.Size <= now.Size {
					signed = append(signed, s.Checkpoint)
				}
			}
			checking, err = auditlog.NewCheck(signed...)
			return err
		},
		Each: func(s auditlog.Stored) {
			if checking.Add(s); s.Index%10_000 == 9999 {
				console.progress("%d events, %s", s.Index+1, share(s.Index+1, now.Size))
			}
		},
	})
	console.progress("")
	if err != nil {
		return auditlog.CheckReport{}, err
	}
	report := checking.Finish()
	return report, console.findings(report)
}

// findings shows what was changed.
func (c *Console) findings(r auditlog.CheckReport) error {
	if len(r.Findings) == 0 {
		return nil
	}
	for _, f := range r.Findings[:min(len(r.Findings), shownFindings)] {
		c.printf("%s%s\n", place(f), visible.Text(f.Text))
	}
	if more := len(r.Findings) + r.More - shownFindings; more > 0 {
		c.printf("and %s more\n", plural(more, "place", "places"))
	}
	all := plural(len(r.Findings)+r.More, "place", "places")
	return &auditlog.Tampered{Place: "the log", Err: errors.New("it is not as it was signed, at " + all)}
}

// place names a leaf as the tree counts and as the trail does.
func place(f auditlog.Finding) string {
	if f.Index < 0 {
		return ""
	}
	return fmt.Sprintf("leaf %d (position %d): ", f.Index, f.Index+1)
}
