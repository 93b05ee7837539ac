package resource

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"
)

// fixed is a key for good.
type fixed struct{}

func (fixed) CursorKey(context.Context) ([]byte, error) { return bytes.Repeat([]byte{7}, 32), nil }

// What earlier versions sealed is still opened, for what it was sealed for and nothing else.
func TestSealOpensWhatEarlierVersionsSealed(t *testing.T) {
	const page, cursor = "AhDzDfkIRJbbkC4sqbEm0V6rWj8fkz6UTQYYyoGX3-yotgqVkiQsuo3OM393", "At3C7Yubk_Tligyett31DqaODOrNK3haNoQULKf5d2Av-UDjxw"
	scope := []string{"actor", "", "", "", "", "success", "", "2026-01-02T03:04:05Z", "0001-01-01T00:00:00Z"}
	s := NewSeal(fixed{})
	at, position, err := s.ParsePageToken(t.Context(), page, scope...)
	if want := time.Date(2026, 3, 4, 5, 6, 7, 891234000, time.UTC); err != nil || !at.Equal(want) || position != 42 {
		t.Errorf("the page is %s, %d, %v", at, position, err)
	}
	if b, err := s.Open(t.Context(), []byte("cursor"), cursor); err != nil || !bytes.Equal(b, []byte{0, 0, 0, 0, 0, 0, 0, 42}) {
		t.Errorf("the cursor is %v, %v", b, err)
	}
	scope[0] = "another"
	for name, text := range map[string]string{"another scope": page, "a cursor": cursor, "nothing": "", "padded": page + "="} {
		if _, _, err := s.ParsePageToken(t.Context(), text, scope...); !errors.Is(err, ErrNotSealed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealedPageTokenRoundTrip(t *testing.T) {
	s, want := NewSeal(fixed{}), time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	first, err := s.PageToken(t.Context(), want, 7, "list")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.PageToken(t.Context(), want, 7, "list"); err != nil || again == first {
		t.Errorf("two seals of one place look the same: %s, %v", again, err)
	}
	if at, position, err := s.ParsePageToken(t.Context(), first, "list"); err != nil || at != want || position != 7 {
		t.Errorf("read as %s, %d, %v", at, position, err)
	}
}

// broken hands out a key that is none, or an error.
type broken struct {
	key []byte
	err error
}

func (b broken) CursorKey(context.Context) ([]byte, error) { return b.key, b.err }

// Without a key nothing is sealed and nothing is opened, and that is not a fault of the text.
func TestSealWithoutAKey(t *testing.T) {
	gone := errors.New("the database is down")
	for name, keys := range map[string]broken{"no key": {err: gone}, "half a key": {key: []byte("short")}} {
		s := NewSeal(keys)
		_, sealing := s.PageToken(t.Context(), time.Time{}, 1, "list")
		_, _, opening := s.ParsePageToken(t.Context(), "AAAA", "list")
		if sealing == nil || opening == nil || errors.Is(opening, ErrNotSealed) {
			t.Errorf("%s: %v, %v", name, sealing, opening)
		}
	}
}

// A seal of something else than a place is not taken for one.
func TestSealOfAnotherLength(t *testing.T) {
	s := NewSeal(fixed{})
	text, err := s.Close(t.Context(), Binding(sealedPages, []string{"list"}), []byte("short"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.ParsePageToken(t.Context(), text, "list"); !errors.Is(err, ErrNotSealed) {
		t.Errorf("%v", err)
	}
}
