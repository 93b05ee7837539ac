package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/internal/witness"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

const witnessedOrigin = "id.example.com/audit/1"

// witnessed is a log in PostgreSQL with a witness of ours, behind what may answer in its place.
type witnessed struct {
	serving   *pgxpool.Pool
	owner     pg.Config
	keys      ledger.Keys
	log       *ledger.Service
	cosigner  ledger.Cosigner
	key       string                          // of the witness
	witness   http.Handler                    // the true one
	intercept func(http.Handler) http.Handler // nil lets everything through
}

func newWitnessed(t *testing.T) *witnessed {
	t.Helper()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	w := &witnessed{serving: pgtest.Open(t, serving), owner: owner}
	var err error
	w.keys, err = KeysConfig{File: keyFile(t, 1)}.open()
	check.NoError(t, err)
	w.log = ledger.NewService(postgres.NewLog(w.serving), w.keys)
	verifiers, err := w.keys.Verifiers(witnessedOrigin)
	check.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "witness")
	w.key, err = witness.NewKey(rand.Reader, folder, "w.example")
	check.NoError(t, err)
	remembering, err := witness.Open(folder, verifiers, slog.New(slog.DiscardHandler))
	check.NoError(t, err)
	t.Cleanup(func() { check.NoError(t, remembering.Close()) })
	w.witness = remembering.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.intercept != nil {
			w.intercept(w.witness).ServeHTTP(rw, r)
			return
		}
		w.witness.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	c := LogConfig{Witnesses: []string{server.URL + " " + w.key}}
	check.NoError(t, c.Validate())
	client, err := newWitness(c.Witnesses[0])
	check.NoError(t, err)
	t.Cleanup(client.Close)
	w.cosigner = cosignerOf(client)
	return w
}

// grow stores events and signs them, by a program that knows nothing of before.
func (w *witnessed) grow(t *testing.T, events int) error {
	t.Helper()
	trailtest.Fill(t, postgres.NewEvents(w.serving), events)
	return ledger.NewSequencer(postgres.NewLog(w.serving), w.keys, "id.example.com").Grow(t.Context())
}

func (w *witnessed) ask(t *testing.T) error {
	t.Helper()
	_, err := w.log.Cosign(t.Context(), w.cosigner)
	return err
}

// reopen begins the next origin.
func (w *witnessed) reopen(t *testing.T) {
	t.Helper()
	store := postgres.NewLog(w.serving).WithOutbox(outboxtest.New(t, w.serving, migrations.Schema))
	_, err := ledger.NewService(store, w.keys).Reopen(t.Context(), "a test", event.Own(t.Context(), Name, auditlog.ReopenedAction, "audit_log"))
	check.NoError(t, err)
}

// rewind makes the database that of an older backup, with 3 events.
func (w *witnessed) rewind(t *testing.T) {
	t.Helper()
	pgtest.Exec(t, w.owner, "delete from audit.cosignatures", "delete from audit.checkpoints where size > 3", "delete from audit.tiles",
		"delete from audit.events where position > 3", "delete from audit.personal_values where position > 3")
}

// R70: a witness cosigns each checkpoint, and stops a log that was rewound, whether it has grown
// past the witness's size meanwhile or not, though all instances have forgotten what they signed.
func TestAWitnessCosignsAndFindsARewind(t *testing.T) {
	for name, c := range map[string]struct {
		more int // events after the rewind
		want string
	}{
		"smaller":     {5, "the log has a checkpoint of 8 events, and one of 308 is known, which the witness w.example has cosigned"},
		"as large":    {305, "the first 308 events of the log are not those of the checkpoint that is known, which the witness w.example has cosigned"},
		"grown again": {400, "the first 308 events of the log are not those"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitnessed(t)
			verifiers, err := w.keys.Verifiers(witnessedOrigin)
			check.NoError(t, err)
			trusted, err := auditlog.ParseKeys(verifiers, []string{w.key})
			check.NoError(t, err)
			check.NoError(t, w.ask(t)) // there is nothing to cosign
			var last string
			for _, n := range []int{3, 300, 5} {
				check.NoError(t, w.grow(t, n))
				for range 2 { // the second time there is nothing to ask
					check.NoError(t, w.ask(t))
				}
				last, _, err = w.log.Checkpoint(t.Context())
				check.NoError(t, err)
				if signed, err := trusted.Open([]byte(last)); err != nil || len(signed.Cosignatures) != 1 || signed.Cosignatures[0].Witness != "w.example" {
					t.Fatalf("%q: %v", last, err)
				}
			}
			w.rewind(t)
			check.NoError(t, w.grow(t, c.more)) // nobody knows
			if err := w.ask(t); !errors.Is(err, ledger.ErrHalted) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v", err)
			}
			if err := w.grow(t, 5); !errors.Is(err, ledger.ErrHalted) {
				t.Errorf("it signs on: %v", err)
			}
			state, err := postgres.NewLog(w.serving).State(t.Context())
			if err != nil || state.Halt == nil || state.Halt.Note != last {
				t.Errorf("what the witness has shown is not kept: %+v, %v", state.Halt, err)
			}
		})
	}
}

// What is known of one origin never halts the next one, which an operator begins while an instance
// compares.
func TestTheOriginThatWasComparedIsHalted(t *testing.T) {
	for name, instance := range map[string]func(*testing.T, *witnessed, ledger.Store) error{
		"by a witness": func(t *testing.T, w *witnessed, store ledger.Store) error {
			check.NoError(t, w.ask(t))
			w.rewind(t)
			check.NoError(t, w.grow(t, 1))
			_, err := ledger.NewService(store, w.keys).Cosign(t.Context(), w.cosigner)
			return err
		},
		"by what an instance has signed": func(t *testing.T, w *witnessed, store ledger.Store) error {
			one := ledger.NewSequencer(store, w.keys, "id.example.com")
			check.NoError(t, one.Grow(t.Context()))
			w.rewind(t)
			return one.Grow(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitnessed(t)
			for _, n := range []int{3, 5} {
				check.NoError(t, w.grow(t, n))
			}
			store := &overtaken{Log: postgres.NewLog(w.serving), first: func() { w.reopen(t) }}
			if err := instance(t, w, store); err == nil || errors.Is(err, ledger.ErrHalted) {
				t.Errorf("got %v", err)
			}
			state, err := store.State(t.Context())
			if err != nil || state.Number != 2 || state.Halt != nil {
				t.Errorf("the origin %d is halted: %+v %v", state.Number, state.Halt, err)
			}
			check.NoError(t, w.grow(t, 1))
		})
	}
}

// overtaken is a log at which somebody else has the first turn.
type overtaken struct {
	*postgres.Log

	first func()
}

func (o *overtaken) Grow(ctx context.Context, turn func(ledger.Turn) error) error {
	if first := o.first; first != nil {
		o.first = nil
		first()
	}
	return o.Log.Grow(ctx, turn)
}

// Who can answer in the place of a witness cannot end the signing: that takes a checkpoint which
// the log has signed and the witness has cosigned. The claim is told by the log and the metrics
// until the witness cosigns again.
func TestAClaimOfAWitnessStopsNothing(t *testing.T) {
	w := newWitnessed(t)
	check.NoError(t, w.grow(t, 3))
	check.NoError(t, w.ask(t))
	older := w.shown(t)
	check.NoError(t, w.grow(t, 300))
	check.NoError(t, w.ask(t))
	forged := strings.Replace(w.shown(t), "\n303\n", "\n900\n", 1)
	registry := prometheus.NewRegistry()
	gauges, err := newWitnessGauges(registry)
	check.NoError(t, err)
	var logged bytes.Buffer
	asking := gauges.told(func(ctx context.Context) (ledger.Asked, error) { return w.log.Cosign(ctx, w.cosigner) }, slog.New(slog.NewTextHandler(&logged, nil)))
	for name, c := range map[string]struct {
		status        int
		claim, latest string
	}{
		"a larger tree, and nothing":           {409, "1000000\n", ""},
		"a larger tree, and an older one":      {409, "1000000\n", older},
		"a larger tree, and a forged one":      {409, "1000000\n", forged},
		"a larger tree, and one of its own":    {409, "1000000\n", strangersCheckpoint(t)},
		"another tree, and nothing":            {422, "no\n", ""},
		"another tree, and the one that it is": {422, "no\n", w.shown(t)},
	} {
		w.intercept = func(http.Handler) http.Handler { return claiming(c.status, c.claim, c.latest) }
		check.NoError(t, w.grow(t, 1))
		for range 2 {
			var dispute *ledger.DisputeError
			if err := asking(t.Context()); !errors.As(err, &dispute) || errors.Is(err, ledger.ErrHalted) || !strings.Contains(err.Error(), "the witness w.example says") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.grow(t, 1); err != nil {
			t.Errorf("%s: the log does not sign on: %v", name, err)
		}
		expect(t, registry, 1, 1)
		w.intercept = nil
		check.NoError(t, asking(t.Context()))
		expect(t, registry, 0, 0)
		if n := strings.Count(logged.String(), "level=ERROR msg=\"a witness disputes the audit log"); n != 1 {
			t.Errorf("%s: told %d times:\n%s", name, n, logged.String())
		}
		logged.Reset()
	}
	w.intercept = func(http.Handler) http.Handler { return claiming(500, "", "") }
	check.NoError(t, w.grow(t, 1))
	if err := asking(t.Context()); err == nil {
		t.Error("a witness that fails is none")
	}
	expect(t, registry, 1, 0)
}

// Who answers in the place of a witness, and shows its checkpoint only once the log has grown past
// what it claims, is failing all the same, and ends no dispute. That ends with a cosignature, or with
// the origin: the next one is another log, which the witness has to be told of.
func TestAWitnessThatStallsIsFailing(t *testing.T) {
	w := newWitnessed(t)
	registry := prometheus.NewRegistry()
	gauges, err := newWitnessGauges(registry)
	check.NoError(t, err)
	asking := w.told(t, gauges)
	check.NoError(t, asking(t.Context())) // there is nothing to cosign
	expect(t, registry, 0, 0)
	check.NoError(t, w.grow(t, 3))
	stalling := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			state, err := postgres.NewLog(w.serving).State(r.Context())
			check.NoError(t, err)
			if r.Method == http.MethodGet {
				check.NoError(t, w.grow(t, 2))
			}
			claiming(409, fmt.Sprintf("%d\n", state.Last.Tree.N+1), "").ServeHTTP(rw, r)
		})
	}
	stalls := func(disputing float64) {
		t.Helper()
		w.intercept = stalling
		for range 2 {
			var dispute *ledger.DisputeError
			if err := asking(t.Context()); err == nil || errors.As(err, &dispute) {
				t.Errorf("a witness that stalls: %v", err)
			}
			expect(t, registry, 1, disputing)
		}
	}
	stalls(0)
	w.intercept = func(http.Handler) http.Handler { return claiming(409, "1000000\n", "") }
	for range 2 {
		if err := asking(t.Context()); err == nil {
			t.Error("it disputes nothing")
		}
		expect(t, registry, 1, 1)
	}
	stalls(1)
	w.reopen(t)
	w.intercept = nil
	check.NoError(t, w.grow(t, 1))
	if err := asking(t.Context()); err == nil {
		t.Error("the witness cosigns a log that it does not know")
	}
	expect(t, registry, 1, 0)
}

// Of two instances that ask at once the second hears of a larger tree than it has asked about, which
// the witness has cosigned by then: nothing fails.
func TestInstancesAskAWitnessAtOnce(t *testing.T) {
	w := newWitnessed(t)
	check.NoError(t, w.grow(t, 3))
	other, once := w.cosigner, false
	w.intercept = func(witness http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !once {
				once = true
				check.NoError(t, w.grow(t, 3))
				_, err := w.log.Cosign(r.Context(), other)
				check.NoError(t, err)
			}
			witness.ServeHTTP(rw, r)
		})
	}
	check.NoError(t, w.ask(t))
}

// told asks the witness as a program does.
func (w *witnessed) told(t *testing.T, gauges witnessGauges) func(context.Context) error {
	t.Helper()
	return gauges.told(func(ctx context.Context) (ledger.Asked, error) { return w.log.Cosign(ctx, w.cosigner) }, slog.New(slog.DiscardHandler))
}

func expect(t *testing.T, registry *prometheus.Registry, failing, disputing float64) {
	t.Helper()
	f, d := value(t, registry, "gatehouse_audit_witnesses_failing"), value(t, registry, "gatehouse_audit_witnesses_disputing")
	if f != failing || d != disputing {
		t.Errorf("%v failing and %v disputing, want %v and %v", f, d, failing, disputing)
	}
}

// claiming answers in the place of a witness.
func claiming(status int, claim, latest string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			rw.WriteHeader(status)
			_, _ = fmt.Fprint(rw, claim)
		case latest == "":
			http.NotFound(rw, r)
		default:
			_, _ = fmt.Fprint(rw, latest)
		}
	})
}

// shown is what the witness shows of the log.
func (w *witnessed) shown(t *testing.T) string {
	t.Helper()
	answer := httptest.NewRecorder()
	w.witness.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(witnessedOrigin))), nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("the witness answers %d", answer.Code)
	}
	return answer.Body.String()
}

// strangersCheckpoint is a larger one of the origin, by keys that are not the log's and the
// witness's.
func strangersCheckpoint(t *testing.T) string {
	t.Helper()
	log, by := auditlogtest.LogKey(t, witnessedOrigin), auditlogtest.WitnessKey(t, "w.example")
	note, err := auditlog.Checkpoint{Origin: witnessedOrigin, Size: 1_000_000}.Sign(log)
	check.NoError(t, err)
	signed, err := auditlogtest.Keys(t, []string{log.Text}, nil).Open(note)
	check.NoError(t, err)
	text, _, err := signed.Cosign(by)
	check.NoError(t, err)
	return string(text)
}
