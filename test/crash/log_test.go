package crash_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// recorder keeps every checkpoint that the platform gives out while its programs are killed, as an
// auditor would who has pinned the key of the log before. Nothing of the platform's own verifies: a
// note is opened, and proofs are checked, as Go's checksum database does it.
type recorder struct {
	w      *world
	origin string
	key    note.Verifiers
	kept   []torchwood.Checkpoint // in the order in which they were seen, each once
	wrong  []string
}

// logPolls is how often a checkpoint is asked for; one is signed every 400 ms at most.
const logPolls = 100 * time.Millisecond

// newRecorder pins the key as soon as the log has signed anything.
func newRecorder(t *testing.T, w *world) *recorder {
	t.Helper()
	r := &recorder{w: w}
	check.Within(t, 10*time.Second, "a first checkpoint", func() error {
		_, keys, err := w.checkpoint(t.Context())
		if err != nil {
			return err
		}
		verifier, err := note.NewVerifier(keys[0])
		if err != nil || len(keys) != 1 {
			t.Fatalf("the keys of the log are %q: %v", keys, err)
		}
		r.origin, r.key = verifier.Name(), note.VerifierList(verifier)
		return nil
	})
	return r
}

// record asks until ctx ends. That nobody answers is not wrong; an answer that is no checkpoint is.
func (r *recorder) record(ctx context.Context) (done <-chan struct{}) {
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for ; ctx.Err() == nil; pause(ctx, logPolls) {
			text, _, err := r.w.checkpoint(ctx)
			if err != nil {
				continue
			}
			if err := r.keep(text); err != nil {
				r.wrong = append(r.wrong, fmt.Sprintf("a checkpoint that was given out: %v: %q", err, text))
			}
		}
	}()
	return finished
}

// open is a checkpoint that the pinned key signed.
func (r *recorder) open(text string) (torchwood.Checkpoint, error) {
	opened, err := note.Open([]byte(text), r.key)
	if err != nil {
		return torchwood.Checkpoint{}, err
	}
	c, err := torchwood.ParseCheckpoint(opened.Text)
	if err == nil && c.Origin != r.origin {
		err = fmt.Errorf("its origin is %s, and the key is that of %s", c.Origin, r.origin)
	}
	return c, err
}

// keep notes a checkpoint. One who asks again and again never sees the log shrink.
func (r *recorder) keep(text string) error {
	c, err := r.open(text)
	if err != nil {
		return err
	}
	if n := len(r.kept); n > 0 && r.kept[n-1].N > c.N {
		return fmt.Errorf("its size is %d after %d", c.N, r.kept[n-1].N)
	}
	if n := len(r.kept); n == 0 || r.kept[n-1].Tree != c.Tree {
		r.kept = append(r.kept, c)
	}
	return nil
}

// last waits for the checkpoint that covers everything that is stored, and keeps it too.
func (r *recorder) last(t *testing.T) torchwood.Checkpoint {
	t.Helper()
	check.Within(t, time.Minute, "a checkpoint over all events", func() error {
		head := r.w.lastPosition(t)
		text, _, err := r.w.checkpoint(t.Context())
		if err == nil {
			err = r.keep(text)
		}
		if err == nil && r.kept[len(r.kept)-1].N < head {
			err = fmt.Errorf("the last checkpoint is of %d events, and %d are stored", r.kept[len(r.kept)-1].N, head)
		}
		return err
	})
	return r.kept[len(r.kept)-1]
}

// audit compares everything that was seen with the log as it is in the end, and returns one
// sentence for each thing that is wrong.
func (r *recorder) audit(t *testing.T) []string {
	t.Helper()
	last := r.last(t)
	t.Logf("%d checkpoints were kept, of %d to %d events", len(r.kept), r.kept[0].N, last.N)
	if len(r.kept) < 3 {
		t.Fatalf("only %d checkpoints: they show nothing", len(r.kept))
	}
	return slices.Concat(r.wrong, r.inconsistent(t, last), r.unproven(t, last))
}

// inconsistent has a sentence for each kept checkpoint whose tree is not the beginning of the last.
func (r *recorder) inconsistent(t *testing.T, last torchwood.Checkpoint) (wrong []string) {
	t.Helper()
	for _, c := range r.kept {
		var proof struct{ Hashes []tlog.Hash }
		err := r.w.readInTheEnd(t.Context(), fmt.Sprintf("/api/v1/audit/consistency?first_size=%d&second_size=%d", c.N, last.N), &proof)
		if err == nil {
			err = tlog.CheckTree(proof.Hashes, last.N, last.Hash, c.N, c.Hash)
		}
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("the checkpoint of %d events is not consistent with the last one, of %d: %v", c.N, last.N, err))
		}
	}
	return wrong
}

// sampled is how many acknowledged changes of each action are proven to be in the log.
const sampled = 60

// unproven has a sentence for each sampled change whose event is not proven to be in the last tree.
func (r *recorder) unproven(t *testing.T, last torchwood.Checkpoint) (wrong []string) {
	t.Helper()
	type stored struct{ RequestID, ID string }
	for action, requests := range r.w.acked {
		ids := map[string]string{}
		for _, e := range rows[stored](t, r.w, `
			select request_id, id::text from audit.events where action = $1 and outcome = 'success'`, action) {
			ids[e.RequestID] = e.ID
		}
		step := max(len(requests)/sampled, 1)
		for i := 0; i < len(requests); i += step {
			if err := r.included(t.Context(), ids[requests[i]], requests[i], last); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s %s was acknowledged and is not proven to be in the log: %v", action, requests[i], err))
			}
		}
	}
	return wrong
}

// included is an error unless the event of a request is a leaf of that tree.
func (r *recorder) included(ctx context.Context, id, request string, last torchwood.Checkpoint) error {
	var proof struct {
		LeafIndex int64 `json:"leaf_index,string"`
		Hashes    []tlog.Hash
		Canonical []byte
	}
	if err := r.w.readInTheEnd(ctx, fmt.Sprintf("/api/v1/audit/events/%s/proof?tree_size=%d", url.PathEscape(id), last.N), &proof); err != nil {
		return err
	}
	if text := string(proof.Canonical); !strings.Contains(text, id) || !strings.Contains(text, request) {
		return fmt.Errorf("the bytes are those of another event: %s", text)
	}
	return tlog.CheckRecord(proof.Hashes, last.N, last.Hash, proof.LeafIndex, tlog.RecordHash(proof.Canonical))
}

// checkpoint asks for the newest one.
func (w *world) checkpoint(ctx context.Context) (text string, keys []string, err error) {
	var answer struct {
		Checkpoint   string
		VerifierKeys []string `json:"verifier_keys"`
	}
	err = w.read(ctx, "/api/v1/audit/checkpoint", &answer)
	return answer.Checkpoint, answer.VerifierKeys, err
}

// read asks for something as the administrator.
func (w *world) read(ctx context.Context, path string, into any) error {
	status, answer, _, err := w.call(ctx, "GET", path, w.admin, nil)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnavailable, err)
	}
	if status >= 500 {
		return fmt.Errorf("%w: %d %v", errUnavailable, status, answer)
	}
	if status != 200 {
		return fmt.Errorf("%d %v", status, answer)
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// errUnavailable is an answer that says nothing but that the platform is on its way back.
var errUnavailable = errors.New("unavailable")

// readInTheEnd reads as soon as the platform, of which programs were killed, answers again.
func (w *world) readInTheEnd(ctx context.Context, path string, into any) error {
	var final error
	unavailable := settled(func() error {
		final = w.read(ctx, path, into)
		if errors.Is(final, errUnavailable) {
			return final
		}
		return nil
	})
	return cmp.Or(unavailable, final)
}
