package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
)

func box(purpose string, key byte) *seal.Box {
	return seal.NewBox(purpose, bytes.Repeat([]byte{key}, 32), nil, nil)
}

// What was sealed for one purpose, or one binding, opens for no other.
func TestBindings(t *testing.T) {
	sealed, err := box("a", 1).Seal([]byte("secret"), []byte("ada"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		by      *seal.Box
		binding string
		want    error
	}{
		"the same": {box("a", 1), "ada", nil}, "another purpose": {box("b", 1), "ada", seal.ErrNotOurs}, "another key": {box("a", 2), "ada", seal.ErrNotOurs},
		"another binding": {box("a", 1), "bob", seal.ErrNotOurs},
	} {
		plain, _, err := c.by.Open(sealed, []byte(c.binding))
		if !errors.Is(err, c.want) || err == nil && string(plain) != "secret" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	for _, short := range [][]byte{nil, sealed[:16], sealed[:len(sealed)-1]} {
		if _, _, err := box("a", 1).Open(short, []byte("ada")); !errors.Is(err, seal.ErrNotOurs) {
			t.Errorf("%d bytes: %v", len(short), err)
		}
	}
}

// FuzzOpenText holds that whatever is sent as a token opens only if it was sealed here.
func FuzzOpenText(f *testing.F) {
	b := box("a", 1)
	good, err := b.SealText("s")
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{good, good + "=", good[1:], good + "\n", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var v string
		if err := b.OpenText(text, &v); err == nil && (text != good || v != "s") || err != nil && v != "" {
			t.Errorf("%q opens as %q, %v", text, v, err)
		}
	})
}
