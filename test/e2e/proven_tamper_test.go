package e2e_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// tampered changes the trail as the superuser, and puts it back after each change.
func (v proven) tampered() {
	v.t.Helper()
	v.covered()
	v.good()
	check.NoError(v.t, v.database(func(db *pgx.Conn) error {
		if _, err := db.Exec(v.t.Context(), "create temporary table before as select * from audit.events"); err != nil {
			return err
		}
		for name, c := range map[string]struct {
			tamper string
			places []string
		}{
			"an edit":    {`update audit.events set canonical = overlay(canonical placing 'X'::bytea from 20) where position = 10`, []string{"leaf 9 (position 10)"}},
			"a deletion": {`delete from audit.events where position = 11`, []string{"leaf 10 (position 11)"}},
			"a reorder": {
				`update audit.events e set canonical = o.canonical from before o where (e.position, o.position) in ((21, 31), (31, 21))`,
				[]string{"leaf 20 (position 21)", "leaf 30 (position 31)"},
			},
		} {
			if _, err := db.Exec(v.t.Context(), c.tamper); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			out := v.audit(1, "verify", "--key", v.key)
			if !strings.Contains(out, "TAMPERED") || strings.Count(out, "(position ") != len(c.places) {
				v.t.Errorf("%s is found as\n%s", name, out)
			}
			for _, place := range c.places {
				if !strings.Contains(out, place) {
					v.t.Errorf("%s: want %s named in\n%s", name, place, out)
				}
			}
			_, err := db.Exec(v.t.Context(), `
				with gone as (delete from audit.events e using before b where e.position = b.position and e.canonical <> b.canonical returning b.*)
				insert into audit.events select * from gone union all
				select b.* from before b where not exists (select from audit.events e where e.position = b.position)`)
			if err != nil {
				return fmt.Errorf("put back after %s: %w", name, err)
			}
		}
		return nil
	}))
	v.good()
}

// rewound cuts the log by 20 events, as an older backup would, and kills the Audit that remembers.
// What is stored is consistent in itself: who keeps nothing outside of it cannot know.
func (v proven) rewound() {
	v.t.Helper()
	size := v.covered() - 20
	v.good() // keeps the newest checkpoint
	theirs := v.witnesses()
	check.NoError(v.t, v.p.RewindTrail(v.t.Context(), size))
	v.person(newEmail(), "Mallory") // what is recorded of it is stored on
	check.Within(v.t, 30*time.Second, "the witness is heard, and the log stops", func() error {
		now, err := v.p.Service("audit")
		if err != nil {
			return err
		}
		text, err := send("http://"+strings.TrimPrefix(now.HTTP, "http://"), request{method: "GET", path: "/metrics"})
		if err == nil && !strings.Contains(string(text.raw), "\ngatehouse_audit_log_stopped 1\n") {
			err = errors.New("it has not stopped")
		}
		return err
	})
	v.delivered()
	for name, kept := range map[string]string{"the operator's file": v.kept(), "what the witness cosigned": theirs} {
		if out := v.audit(1, "verify", "--key", v.key, "--checkpoint", kept); !strings.Contains(out, "it was cut, rewound or restored from an older backup") {
			v.t.Errorf("against %s:\n%s", name, out)
		}
	}
	if out := v.audit(0, "verify", "--key", v.key); !strings.Contains(out, "Nothing in the database can tell") {
		v.t.Errorf("with nothing from outside:\n%s", out)
	}
}

// witnesses is a file with the last checkpoint that the witness cosigned, from itself.
func (v proven) witnesses() string {
	v.t.Helper()
	origin, _, _ := strings.Cut(v.key, "+")
	got, err := send("http://"+v.address, request{method: "GET", path: fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(origin)))})
	if err != nil || got.status != 200 {
		v.t.Fatalf("the witness: %d %v %s", got.status, errOr(err), got.raw)
	}
	file := filepath.Join(v.dir, "witness.note")
	check.NoError(v.t, os.WriteFile(file, got.raw, 0o600))
	return file
}
