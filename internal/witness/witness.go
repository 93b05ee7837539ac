// Package witness is the witness of a log (C2SP tlog-witness) and what a log needs to ask one.
//
// A witness remembers of each log the last checkpoint that it cosigned, and cosigns another one
// only with a proof that the log was merely added to. Its memory is a folder, so that it runs
// anywhere: it must be out of reach of who could change the log. The operator's command serves one,
// Audit asks those of its configuration.
package witness

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"golang.org/x/mod/sumdb/note"

	"github.com/gatehouse/gatehouse/internal/auditlog"
)

// NewKey makes the key of a witness in a folder, and returns the verifier key that others pin.
func NewKey(random io.Reader, path, name string) (verifierKey string, err error) {
	secret, err := auditlog.NewKey(random, name)
	if err != nil {
		return "", err
	}
	f, err := openFolder(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.close() }()
	if err := f.makeKey(secret); err != nil {
		return "", err
	}
	_, verifierKey, err = auditlog.WitnessKey(secret)
	return verifierKey, err
}

// Witness cosigns checkpoints of the logs that it knows.
type Witness struct {
	folder folder
	signer note.Signer
	key    string
	logs   map[string]*watched // by origin
	log    *slog.Logger
}

// watched is one log. Its lock is held from the look at what was cosigned until the next checkpoint
// is stored: without it the later of two requests could roll the earlier one back.
type watched struct {
	keys auditlog.Keys

	mu   sync.Mutex
	size int64
	root auditlog.Hash
	note []byte // with the cosignature; nil before the first
}

// Open opens the folder of a witness that knows the logs with these verifier keys. Several keys of
// one name are those of one log, while one is replaced. Close gives the folder back.
func Open(path string, logs []string, log *slog.Logger) (*Witness, error) {
	byOrigin := map[string][]string{}
	for _, text := range logs {
		k, err := auditlog.ParseKeys([]string{text}, nil)
		if err != nil {
			return nil, err
		}
		name := k.Origins()[0]
		byOrigin[name] = append(byOrigin[name], text)
	}
	if len(byOrigin) == 0 {
		return nil, errors.New("a witness knows the logs that it watches: give the verifier key of each")
	}
	f, err := openFolder(path)
	if err != nil {
		return nil, err
	}
	w := &Witness{folder: f, logs: map[string]*watched{}, log: log}
	if err := w.load(byOrigin); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return w, nil
}

func (w *Witness) load(byOrigin map[string][]string) error {
	secret, err := w.folder.key()
	if err != nil {
		return err
	}
	if w.signer, w.key, err = auditlog.WitnessKey(secret); err != nil {
		return fmt.Errorf("read the key in %s: %w", w.folder.path, err)
	}
	own, err := auditlog.ParseWitness(w.key)
	if err != nil {
		return err
	}
	for origin, texts := range byOrigin {
		keys, err := auditlog.ParseKeys(texts, nil)
		if err != nil {
			return err
		}
		l := &watched{keys: keys, root: sha256.Sum256(nil)}
		if l.note, err = w.folder.checkpoint(origin); err != nil {
			return fmt.Errorf("read what was cosigned of %s: %w", origin, err)
		}
		if l.note != nil {
			c, _, err := own.Read(l.note)
			if err == nil && c.Origin != origin {
				err = fmt.Errorf("it is one of %s", c.Origin)
			}
			if err != nil {
				return fmt.Errorf("the last cosigned checkpoint of %s in %s is damaged, and nothing can be cosigned without it: %w", origin, w.folder.path, err)
			}
			l.size, l.root = c.Size, c.Root
		}
		w.logs[origin] = l
	}
	return nil
}

// Key is the verifier key that others pin.
func (w *Witness) Key() string { return w.key }

// Close gives the folder back. Nothing is cosigned after it.
func (w *Witness) Close() error {
	for _, l := range w.logs {
		l.mu.Lock() // and nobody gets it any more
	}
	return w.folder.close()
}

// add cosigns the checkpoint of a request, or refuses it with a *Refusal.
func (w *Witness) add(r request) (auditlog.Cosignature, error) {
	origin, err := originOf(r.note)
	if err != nil {
		return auditlog.Cosignature{}, refuse(http.StatusBadRequest, "%v", errRequest)
	}
	l, ok := w.logs[origin]
	if !ok {
		return auditlog.Cosignature{}, refuse(http.StatusNotFound, "this witness does not watch the log of that origin")
	}
	signed, err := l.keys.Open(r.note)
	if err != nil {
		return auditlog.Cosignature{}, refuse(http.StatusForbidden, "%v", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(r, signed.Checkpoint); err != nil {
		return auditlog.Cosignature{}, err
	}
	text, c, err := signed.Cosign(w.signer)
	if err != nil {
		return c, err
	}
	if err := w.folder.keep(origin, text); err != nil {
		return c, err
	}
	l.size, l.root, l.note = signed.Size, signed.Root, text
	return c, nil
}

// check refuses what does not follow on what was cosigned last.
func (l *watched) check(r request, c auditlog.Checkpoint) error {
	switch {
	case r.old > c.Size:
		return refuse(http.StatusBadRequest, "the old size %d is larger than the checkpoint's, %d", r.old, c.Size)
	case r.old != l.size:
		return conflict(l.size)
	case r.old == 0 && len(r.proof) > 0:
		return refuse(http.StatusUnprocessableEntity, "nothing is to be proven from the empty tree on")
	case c.Size == 0 && c.Root != sha256.Sum256(nil):
		return refuse(http.StatusUnprocessableEntity, "the root of the empty tree is another one")
	case r.old == 0:
		return nil
	case r.old == c.Size && c.Root != l.root:
		fork := refuse(http.StatusUnprocessableEntity, "the log has signed two different trees of the size %d", c.Size)
		fork.fork = [][]byte{r.note, l.note}
		return fork
	}
	if err := auditlog.VerifyConsistency(l.size, c.Size, l.root, c.Root, r.proof); err != nil {
		return refuse(http.StatusUnprocessableEntity, "from size %d to size %d: %v", l.size, c.Size, err)
	}
	return nil
}

// latest is the last cosigned checkpoint of the log whose origin has that hash; nil when there is
// none.
func (w *Witness) latest(hash string) []byte {
	for origin, l := range w.logs {
		if originHash(origin) == hash {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.note
		}
	}
	return nil
}
