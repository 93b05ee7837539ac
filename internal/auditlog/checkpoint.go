package auditlog

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// MaxNote is the most bytes of a checkpoint with all its signatures that are read.
const MaxNote = 64 << 10

// Checkpoint is the head of a tree: its origin, size and root (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin    string
	Size      int64
	Root      Hash
	Extension string // further lines, each ended by a line feed; ours have none
}

// Text is what is signed.
func (c Checkpoint) Text() string {
	return torchwood.Checkpoint{Origin: c.Origin, Tree: tlog.Tree{N: c.Size, Hash: c.Root}, Extension: c.Extension}.String()
}

// OriginNumber splits an origin, <platform>/audit/<n>; n is 0 of one that is not of this form.
func OriginNumber(origin string) (prefix string, n int) {
	i := strings.LastIndexByte(origin, '/')
	n, err := strconv.Atoi(origin[i+1:])
	if err != nil || n < 1 {
		return origin, 0
	}
	return origin[:i+1], n
}

// ParseCheckpoint reads a checkpoint's text, without its signatures, in the one form that it has.
func ParseCheckpoint(text string) (Checkpoint, error) {
	parsed, err := torchwood.ParseCheckpoint(text)
	c := Checkpoint{Origin: parsed.Origin, Size: parsed.N, Root: parsed.Hash, Extension: parsed.Extension}
	if err != nil || len(text) > MaxNote || c.Origin == "" || c.Text() != text {
		return Checkpoint{}, errors.New("this is no checkpoint: origin, size and root hash are each a line of their own")
	}
	return c, nil
}

// ParseNote reads the checkpoint of a signed note whose signatures are not looked at: who has it
// from the log, to hand it on, or made it.
func ParseNote(note []byte) (Checkpoint, error) {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	return ParseCheckpoint(string(text) + "\n")
}

// Sign signs the checkpoint with each key, all of which bear its origin as their name.
func (c Checkpoint) Sign(keys ...note.Signer) ([]byte, error) {
	if _, err := ParseCheckpoint(c.Text()); err != nil {
		return nil, err
	}
	for _, key := range keys {
		if key.Name() != c.Origin {
			return nil, fmt.Errorf("sign the checkpoint of %s: the key is that of %s", c.Origin, key.Name())
		}
	}
	text, err := note.Sign(&note.Note{Text: c.Text()}, keys...)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of %s: %w", c.Origin, err)
	}
	return text, nil
}

// Signed is a checkpoint with signatures that were verified.
type Signed struct {
	Checkpoint
	Note         []byte        // as it was read
	Keys         []string      // verifier keys of the log that signed it
	Cosignatures []Cosignature // of known witnesses
	Others       int           // signatures that nobody's known key made, which say nothing

	verified []note.Signature
}

// Open verifies a checkpoint: at least one signature is that of a key of the log, the origin is
// that key's name, and no signature of a known key is false. Signatures of others are counted only.
func (k Keys) Open(text []byte) (Signed, error) {
	if len(text) > MaxNote {
		return Signed{}, fmt.Errorf("the checkpoint has more than %d bytes", MaxNote)
	}
	opened, err := note.Open(text, k.verifiers())
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return Signed{}, fmt.Errorf("the checkpoint of %s is signed by none of the keys that are trusted here: one that was reopened has another name and key, which its operator knows", firstLine(unverified.Note.Text))
	case errors.As(err, &invalid):
		return Signed{}, fmt.Errorf("the signature of %s (%08x) below the checkpoint is false", invalid.Name, invalid.Hash)
	case err != nil:
		return Signed{}, errors.New("this is no signed checkpoint (C2SP tlog-checkpoint): its text or its signatures are damaged")
	}
	c, err := ParseCheckpoint(opened.Text)
	if err != nil {
		return Signed{}, err
	}
	s := Signed{Checkpoint: c, Note: text, Others: len(opened.UnverifiedSigs), verified: opened.Sigs}
	for _, sig := range opened.Sigs {
		if err := k.sort(&s, sig); err != nil {
			return Signed{}, err
		}
	}
	if len(s.Keys) == 0 {
		return Signed{}, fmt.Errorf("the checkpoint of %s is signed by none of the keys of that log that are trusted here", c.Origin)
	}
	return s, nil
}

// sort puts a verified signature where it belongs.
func (k Keys) sort(s *Signed, sig note.Signature) error {
	for _, key := range k.logs {
		if key.Name() == sig.Name && key.KeyHash() == sig.Hash {
			if sig.Name == s.Origin { // a key speaks for its own log alone
				s.Keys = append(s.Keys, key.text)
			}
			return nil
		}
	}
	c, err := cosignature(sig)
	s.Cosignatures = append(s.Cosignatures, c)
	return err
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
