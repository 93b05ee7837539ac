package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

func TestWrongLogOptions(t *testing.T) {
	t.Parallel()
	keys, err := KeysConfig{File: keyFile(t, 1)}.open()
	check.NoError(t, err)
	for name, c := range map[string]struct {
		log  LogConfig
		want string
	}{
		"no key":       {LogConfig{Witnesses: []string{"https://w.example"}}, "give the URL of each witness, a space and its verifier key"},
		"in clear":     {LogConfig{Witnesses: []string{"http://w.example x"}}, "GATEHOUSE_AUDIT_WITNESSES: the witness's address"},
		"no such file": {LogConfig{CheckpointFile: "/nowhere"}, "GATEHOUSE_AUDIT_CHECKPOINT_FILE"},
		"no note":      {LogConfig{CheckpointFile: keyFile(t, 1)}, "this is no signed checkpoint"},
	} {
		err := c.log.Validate()
		if err == nil {
			_, err = c.log.known(keys)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// startedWith grows the log as a program does that has just started with a checkpoint file.
func (w *witnessed) startedWith(t *testing.T, note string, keys ledger.Keys) error {
	t.Helper()
	c := Config{Log: LogConfig{CheckpointFile: filepath.Join(t.TempDir(), "kept")}}
	c.Kernel.Token.Issuer = "https://id.example.com"
	check.NoError(t, os.WriteFile(c.Log.CheckpointFile, []byte(note), 0o600))
	s, err := newSequencer(c, postgres.NewLog(w.serving), keys, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	return s.Grow(t.Context())
}

// What is in the checkpoint file halts the log only when a key of the log has signed it; anything
// else ends the start, and the log goes on without it.
func TestACheckpointFileThatNobodySigned(t *testing.T) {
	w := newWitnessed(t)
	check.NoError(t, w.grow(t, 5))
	signed, _, err := w.log.Checkpoint(t.Context())
	check.NoError(t, err)
	stranger, err := auditlog.Checkpoint{Origin: witnessedOrigin, Size: 900}.Sign(auditlogtest.LogKey(t, witnessedOrigin))
	check.NoError(t, err)
	next, err := KeysConfig{File: keyFile(t, 2)}.open()
	check.NoError(t, err)
	both, err := KeysConfig{File: keyFile(t, 2), PreviousFile: keyFile(t, 1)}.open()
	check.NoError(t, err)
	for name, c := range map[string]struct {
		note string
		keys ledger.Keys
		good bool
	}{
		"signed":                         {signed, w.keys, true},
		"by the key of before":           {signed, both, true},
		"by a key that is replaced":      {signed, next, false},
		"another size":                   {strings.Replace(signed, "\n5\n", "\n900\n", 1), w.keys, false},
		"another origin":                 {strings.Replace(signed, "audit/1\n", "audit/2\n", 1), w.keys, false},
		"its signature is mangled":       {signed[:len(signed)-10] + "AAAAAAA==\n", w.keys, false},
		"without a signature":            {signed[:strings.Index(signed, "\n\n")+2], w.keys, false},
		"by a stranger":                  {string(stranger), w.keys, false},
		"cosigned by somebody alone":     {strangersCheckpoint(t), w.keys, false},
		"with the signature of somebody": {signed + strings.SplitN(string(stranger), "\n\n", 2)[1], w.keys, true},
	} {
		err := w.startedWith(t, c.note, c.keys)
		if c.good && err != nil || !c.good && (err == nil || errors.Is(err, ledger.ErrHalted) ||
			!strings.Contains(err.Error(), "GATEHOUSE_AUDIT_CHECKPOINT_FILE") || !strings.Contains(err.Error(), "name a checkpoint that the key of this log has signed, or none")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.grow(t, 1); err != nil {
		t.Errorf("the log does not sign on: %v", err)
	}
	w.rewind(t)
	if err := w.startedWith(t, signed, both); !errors.Is(err, ledger.ErrHalted) {
		t.Errorf("a log that was rewound: %v", err)
	}
}

// After the log was reopened a checkpoint file of the origin before says nothing of the next one,
// whether that has signed something yet or not, and whether the one before was halted by it or not.
func TestACheckpointFileOfTheOriginBefore(t *testing.T) {
	for name, rewound := range map[string]bool{"going on": false, "halted": true} {
		t.Run(name, func(t *testing.T) {
			w := newWitnessed(t)
			check.NoError(t, w.grow(t, 5))
			kept, _, err := w.log.Checkpoint(t.Context())
			check.NoError(t, err)
			if rewound {
				w.rewind(t)
				if err := w.startedWith(t, kept, w.keys); !errors.Is(err, ledger.ErrHalted) {
					t.Fatalf("a log that was rewound: %v", err)
				}
			}
			store := postgres.NewLog(w.serving).WithOutbox(outboxtest.New(t, w.serving, migrations.Schema))
			_, err = ledger.NewService(store, w.keys).Reopen(t.Context(), "a test", event.Own(t.Context(), Name, auditlog.ReopenedAction, "audit_log"))
			check.NoError(t, err)
			for range 2 {
				check.NoError(t, w.startedWith(t, kept, w.keys))
				check.NoError(t, w.grow(t, 1))
			}
			state, err := store.State(t.Context())
			if err != nil || state.Number != 2 || state.Halt != nil || state.Last.Tree.N == 0 || state.Last.Tree == (tlog.Tree{}) {
				t.Errorf("%+v, %v", state, err)
			}
		})
	}
}
