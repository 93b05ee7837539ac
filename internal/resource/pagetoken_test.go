package resource

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const someID = "3f2b8c1e-6a53-4c36-9a0e-0f6f6f1d2a77"

func TestPageTokenRoundTrip(t *testing.T) {
	want := Cursor{CreateTime: time.Date(2026, 3, 4, 5, 6, 7, 891234000, time.UTC), ID: someID}
	token, err := PageToken(&want, "users", "org", "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePageToken(token, "users", "org", "")
	if err != nil {
		t.Fatal(err)
	}
	if *got != want {
		t.Fatalf("got %+v, want %+v", *got, want)
	}
}

func TestPageTokenOfLastAndFirstPageIsEmpty(t *testing.T) {
	if token, err := PageToken(nil, "users"); token != "" || err != nil {
		t.Fatalf("got %q, %v", token, err)
	}
	if cursor, err := ParsePageToken("", "users"); cursor != nil || err != nil {
		t.Fatalf("got %v, %v", cursor, err)
	}
}

func TestPageTokenIsRefused(t *testing.T) {
	good, err := PageToken(&Cursor{CreateTime: time.Unix(1, 0), ID: someID}, "users", "org", "f")
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(i int, b byte) string {
		c := append([]byte(nil), bytes...)
		c[i] = b
		return base64.RawURLEncoding.EncodeToString(c)
	}
	for name, c := range map[string]struct {
		token string
		scope []string
	}{
		"other filter":           {good, []string{"users", "org", "g"}},
		"other organization":     {good, []string{"users", "org2", "f"}},
		"other list":             {good, []string{"organizations", "org", "f"}},
		"shifted scope":          {good, []string{"users", "orgf", ""}},
		"version":                {changed(0, 2), nil},
		"binding":                {changed(5, bytes[5]+1), nil},
		"time before 1970":       {changed(1+bindingBytes, 0xff), nil},
		"time after 9999":        {changed(1+bindingBytes, 0x7f), nil},
		"short":                  {good[:len(good)-4], nil},
		"long":                   {good + "AAAA", nil},
		"padding":                {good + "=", nil},
		"newline inside":         {good[:8] + "\n" + good[8:], nil},
		"not base64":             {"%%%", nil},
		"offset instead":         {"50", nil},
		"trailing bits not zero": {good[:len(good)-1] + "B", nil},
	} {
		t.Run(name, func(t *testing.T) {
			scope := c.scope
			if scope == nil {
				scope = []string{"users", "org", "f"}
			}
			if c.token == good && c.scope == nil {
				t.Fatal("the case does not change the token")
			}
			_, err := ParsePageToken(c.token, scope...)
			check.InvalidField(t, err, "page_token", "page_token")
		})
	}
}

func FuzzPageToken(f *testing.F) {
	good, err := PageToken(&Cursor{CreateTime: time.Unix(1, 0), ID: someID}, "users")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("")
	f.Add(strings.Repeat("A", 54))
	f.Add(strings.Repeat("A", 55))
	f.Fuzz(func(t *testing.T, token string) {
		cursor, err := ParsePageToken(token, "users")
		if err != nil {
			check.InvalidField(t, err, "page_token", "page_token")
			return
		}
		// What is accepted is exactly what would be made.
		if again, err := PageToken(cursor, "users"); err != nil || again != token {
			t.Fatalf("%q was accepted, but its position makes %q (%v)", token, again, err)
		}
	})
}

func TestPageTokenOfAnotherIDIsRefused(t *testing.T) {
	if token, err := PageToken(&Cursor{ID: "no-uuid"}, "users"); err == nil {
		t.Errorf("an id that is not a UUID has the token %s", token)
	}
}

// What earlier versions gave out is still read, and made in the same form.
func TestPageTokenKeepsItsForm(t *testing.T) {
	const before = "AebLhfnEEmGdB0EEEyQo788ABkwrxxlHIj8rjB5qU0w2mg4Pb28dKnc"
	cursor := Cursor{CreateTime: time.Date(2026, 3, 4, 5, 6, 7, 891234000, time.UTC), ID: someID}
	if token, err := PageToken(&cursor, "users", "org", "f"); err != nil || token != before {
		t.Errorf("the token is %s, %v, want %s", token, err, before)
	}
	if got, err := ParsePageToken(before, "users", "org", "f"); err != nil || *got != cursor {
		t.Errorf("an earlier token is read as %v, %v", got, err)
	}
	if tag := ETag(cursor.ID, cursor.CreateTime, 3); tag != "cnFbz0pBsmmQ_34X" {
		t.Errorf("the tag is %s", tag)
	}
}
