package signingkey

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
)

var sealingKey = bytes.Repeat([]byte{7, 0, 13, 10}, SealingKeyLength/4)

func writeKey(t *testing.T, content []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// generate makes a new key pair.
func generate(random io.Reader, sealer *Sealer, algorithm string, state State, now time.Time) (Key, error) {
	signer, err := generateSigner(random, algorithm)
	if err != nil {
		return Key{}, err
	}
	return Policy{Algorithm: algorithm}.seal(random, sealer, signer, state, now)
}

func TestOpenSealerReadsEachForm(t *testing.T) {
	raw, err := OpenSealer(writeKey(t, sealingKey, 0o400), "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := generate(rand.Reader, raw, token.EdDSA, Active, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"standard":            base64.StdEncoding.EncodeToString(sealingKey) + "\n",
		"standard, unpadded":  base64.RawStdEncoding.EncodeToString(sealingKey),
		"URL":                 base64.URLEncoding.EncodeToString(sealingKey),
		"Windows line ending": base64.StdEncoding.EncodeToString(sealingKey) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, err := OpenSealer(writeKey(t, []byte(text), 0o600), "")
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.open(k); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestOpenSealerRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		path, want string
	}{
		"missing":        {filepath.Join(t.TempDir(), "none"), "does not exist"},
		"a folder":       {t.TempDir(), "not a regular file"},
		"group readable": {writeKey(t, sealingKey, 0o640), "chmod 600"},
		"world readable": {writeKey(t, sealingKey, 0o604), "chmod 600"},
		"short":          {writeKey(t, sealingKey[:31], 0o600), "32 random bytes"},
		"long":           {writeKey(t, append(sealingKey[:32:32], 1), 0o600), "32 random bytes"},
		"short base64":   {writeKey(t, []byte("dG9vIHNob3J0"), 0o600), "32 random bytes"},
		"empty":          {writeKey(t, nil, 0o600), "32 random bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := OpenSealer(c.path, ""); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("err = %v, want one sentence with %q", err, c.want)
			}
		})
	}
}

// While the sealing key is replaced there are two files; what renders the second one of nothing
// leaves it empty.
func TestOpenSealerReadsThePreviousKey(t *testing.T) {
	before := bytes.Repeat([]byte{9}, SealingKeyLength)
	old, err := OpenSealer(writeKey(t, before, 0o600), "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := generate(rand.Reader, old, token.EdDSA, Active, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	current := writeKey(t, sealingKey, 0o600)
	both, err := OpenSealer(current, writeKey(t, before, 0o400))
	if err != nil {
		t.Fatal(err)
	}
	if _, byPrevious, err := both.open(k); err != nil || !byPrevious {
		t.Errorf("what the previous key sealed: %t, %v", byPrevious, err)
	}
	for name, previous := range map[string]string{
		"no path": "", "an empty file": writeKey(t, nil, 0o600), "the same key": writeKey(t, sealingKey, 0o600),
	} {
		one, err := OpenSealer(current, previous)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, _, err := one.open(k); !errors.Is(err, ErrWrongSealingKey) || one.previous != nil {
			t.Errorf("%s: it opens what another key sealed, or has two keys: %v", name, err)
		}
	}
	for name, previous := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "short": writeKey(t, before[:31], 0o600), "open": writeKey(t, before, 0o644)} {
		if _, err := OpenSealer(current, previous); err == nil || !strings.Contains(err.Error(), "GATEHOUSE_AUTH_KEY_PREVIOUS_FILE") {
			t.Errorf("%s: %v, want a sentence that names the variable", name, err)
		}
	}
}

func TestSealedKeyIsBoundToItsRow(t *testing.T) {
	sealer, err := NewSealer(sealingKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := generate(rand.Reader, sealer, token.ES256, Active, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	private, _, err := sealer.open(k)
	if err != nil || bytes.Contains(k.Sealed, private) {
		t.Fatalf("open: %v, or the key is stored in clear", err)
	}
	other, _ := NewSealer(bytes.Repeat([]byte{9}, SealingKeyLength), nil)
	if _, _, err := other.open(k); !errors.Is(err, ErrWrongSealingKey) {
		t.Errorf("another sealing key: %v, want ErrWrongSealingKey", err)
	}
	for name, change := range map[string]func(*Key){
		"another id":        func(k *Key) { k.ID = "x" },
		"another algorithm": func(k *Key) { k.Algorithm = token.EdDSA },
		"a flipped bit":     func(k *Key) { k.Sealed = append([]byte{k.Sealed[0] ^ 1}, k.Sealed[1:]...) },
		"cut short":         func(k *Key) { k.Sealed = k.Sealed[:5] },
	} {
		moved := k
		change(&moved)
		if _, _, err := sealer.open(moved); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
}

func TestDerivedSecretsAreOfOnePurposeAndOneKey(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	derive := func(key, previous []byte, purpose string) ([]byte, []byte) {
		t.Helper()
		s, err := NewSealer(key, previous)
		if err != nil {
			t.Fatal(err)
		}
		current, before, err := s.Derive(purpose)
		if err != nil || len(current) != 32 {
			t.Fatalf("%x, %v", current, err)
		}
		return current, before
	}
	a, none := derive(one, nil, "a")
	again, before := derive(two, one, "a")
	other, _ := derive(one, nil, "b")
	if none != nil || !bytes.Equal(before, a) || bytes.Equal(again, a) || bytes.Equal(other, a) || bytes.Equal(a, one) {
		t.Errorf("derived %x and %x, for another purpose %x, with another key %x", a, none, other, again)
	}
}
