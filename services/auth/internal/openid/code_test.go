package openid_test

import (
	"bytes"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
)

// While the sealing key is replaced, each instance opens the codes of all.
func TestCodesWhileTheKeyIsReplaced(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	needed := true
	before := openid.NewCodes(one, nil, nil)
	between := openid.NewCodes(two, one, func() bool { return needed })
	after := openid.NewCodes(two, nil, nil)
	opens := func(what string, by, with *openid.Codes, want bool) {
		t.Helper()
		text, err := openid.Sealed(by, "s")
		if err != nil {
			t.Fatal(err)
		}
		if id, err := openid.Opened(with, text); (err == nil && id == "s") != want {
			t.Errorf("%s: %q, %v; want %t", what, id, err, want)
		}
	}
	opens("itself", before, before, true)
	opens("old by new", before, between, true)
	opens("new by old", between, before, true)
	opens("another key", before, after, false)
	needed = false
	opens("new by new", between, after, true)
	opens("new by itself", between, between, true)
	opens("new by old, which has to be gone", between, before, false)
}

func TestCodesAreNeverTheSame(t *testing.T) {
	c := openid.NewCodes(bytes.Repeat([]byte{1}, 32), nil, nil)
	a, _ := openid.Sealed(c, "s")
	b, _ := openid.Sealed(c, "s")
	if a == b || a[:20] == b[:20] {
		t.Errorf("%s and %s", a, b)
	}
}

// FuzzCodes holds that whatever is sent as a code opens only if it was sealed here.
func FuzzCodes(f *testing.F) {
	c := openid.NewCodes(bytes.Repeat([]byte{1}, 32), nil, nil)
	good, err := openid.Sealed(c, "s")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good + "=")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := openid.Opened(c, text); err == nil && (text != good || id != "s") {
			t.Errorf("%q opens as %q", text, id)
		}
	})
}
