package auditlog

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

// Cosignature is what one witness said: at that time it knew no larger tree of the origin, and none
// that the checkpoint's does not begin with (C2SP tlog-cosignature, cosignature/v1).
type Cosignature struct {
	Witness string    // its name
	Line    string    // the line of the note, without its end
	Time    time.Time // in seconds, by the clock of the witness
}

// Cosign adds a witness's signature. The note that it returns has that and the signatures that were
// verified, and no others.
func (s Signed) Cosign(witness note.Signer) (text []byte, c Cosignature, err error) {
	alone, err := note.Sign(&note.Note{Text: s.Text()}, witness)
	if err != nil {
		return nil, c, fmt.Errorf("cosign the checkpoint of %s: %w", s.Origin, err)
	}
	lines := strings.TrimPrefix(string(alone), s.Text()+"\n")
	c, err = lineOf(lines, witness)
	if err != nil {
		return nil, c, err
	}
	bare, err := note.Sign(&note.Note{Text: s.Text(), Sigs: s.verified})
	if err != nil {
		return nil, c, fmt.Errorf("cosign the checkpoint of %s: %w", s.Origin, err)
	}
	return append(bare, lines...), c, nil
}

// lineOf reads the line that was just signed.
func lineOf(lines string, witness note.Signer) (Cosignature, error) {
	base64, ok := strings.CutPrefix(strings.TrimSuffix(lines, "\n"), "— "+witness.Name()+" ")
	if !ok {
		return Cosignature{}, errors.New("cosign a checkpoint: the signature is not one line")
	}
	return cosignature(note.Signature{Name: witness.Name(), Hash: witness.KeyHash(), Base64: base64})
}

func cosignature(sig note.Signature) (Cosignature, error) {
	at, err := torchwood.CosignatureTimestamp(sig)
	if err != nil {
		return Cosignature{}, fmt.Errorf("read the cosignature of %s: %w", sig.Name, err)
	}
	return Cosignature{Witness: sig.Name, Line: fmt.Sprintf("— %s %s", sig.Name, sig.Base64), Time: time.Unix(at, 0).UTC()}, nil
}

// Witness is the verifier key of one witness.
type Witness struct{ key verifier }

// ParseWitness reads the verifier key of a witness.
func ParseWitness(text string) (Witness, error) {
	v, kind, err := parseKey(text)
	if err == nil && kind != witnessKey {
		err = fmt.Errorf("the key %q is that of a log: a witness's is needed here", text)
	}
	return Witness{verifier{v, strings.TrimSpace(text)}}, err
}

// Name is the name of the witness.
func (w Witness) Name() string { return w.key.Name() }

// Read verifies the cosignature of this witness below a checkpoint. Other signatures are not looked
// at: whose checkpoint it is, the caller knows.
func (w Witness) Read(text []byte) (Checkpoint, Cosignature, error) {
	if len(text) > MaxNote {
		return Checkpoint{}, Cosignature{}, fmt.Errorf("the checkpoint has more than %d bytes", MaxNote)
	}
	opened, err := note.Open(text, note.VerifierList(w.key))
	if err != nil {
		return Checkpoint{}, Cosignature{}, fmt.Errorf("there is no valid cosignature of %s: %w", w.Name(), err)
	}
	c, err := ParseCheckpoint(opened.Text)
	if err != nil {
		return Checkpoint{}, Cosignature{}, err
	}
	said, err := cosignature(opened.Sigs[0])
	return c, said, err
}
