package auditlog_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
)

const origin = "example.com/audit/1"

func checkpoint(size int64, root auditlog.Hash) auditlog.Checkpoint {
	return auditlog.Checkpoint{Origin: origin, Size: size, Root: root}
}

func signed(t testing.TB, c auditlog.Checkpoint, keys ...note.Signer) []byte {
	t.Helper()
	text, err := c.Sign(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// cosigned adds the signature of a witness, as a log does.
func cosigned(t testing.TB, text []byte, log auditlogtest.Key, witness note.Signer) []byte {
	t.Helper()
	verifier, err := note.NewVerifier(log.Text)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if text, err = note.Sign(opened, witness); err != nil {
		t.Fatal(err)
	}
	return text
}

// What the Go tools for the checksum database make of our checkpoint and its key.
func TestCheckpointIsANote(t *testing.T) {
	log := auditlogtest.LogKey(t, origin)
	c := checkpoint(3, auditlog.LeafHash([]byte("x")))
	verifier, err := note.NewVerifier(log.Text)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := note.Open(signed(t, c, log), note.VerifierList(verifier))
	if err != nil || opened.Text != "example.com/audit/1\n3\n"+c.Root.String()+"\n" {
		t.Errorf("%+v, %v", opened, err)
	}
}

func TestOpen(t *testing.T) {
	log, next, witness, stranger := auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w"), auditlogtest.WitnessKey(t, "example.net/s")
	c := checkpoint(7, auditlog.LeafHash([]byte("x")))
	text := cosigned(t, cosigned(t, signed(t, c, log, next), log, witness), log, stranger)

	for name, k := range map[string]auditlog.Keys{
		"both keys": auditlogtest.Keys(t, []string{log.Text, next.Text, log.Text}, []string{witness.Text}), "the old key": auditlogtest.Keys(t, []string{log.Text}, []string{witness.Text}),
		"the new key": auditlogtest.Keys(t, []string{next.Text + "\n"}, []string{witness.Text}),
	} {
		got, err := k.Open(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.Checkpoint != c || len(got.Cosignatures) != 1 || got.Cosignatures[0].Witness != "example.org/w" || got.Cosignatures[0].Time.Year() < 2024 ||
			len(got.Keys)+got.Others != 3 || !strings.Contains(string(text), got.Cosignatures[0].Line+"\n") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	log, other, witness := auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, "example.com/other"), auditlogtest.WitnessKey(t, "example.org/w")
	c := checkpoint(7, auditlog.LeafHash([]byte("x")))
	text := string(cosigned(t, signed(t, c, log), log, witness))
	theirs, err := note.Sign(&note.Note{Text: c.Text()}, other)
	if err != nil {
		t.Fatal(err)
	}
	both, err := note.Sign(&note.Note{Text: "no checkpoint\n"}, log)
	if err != nil {
		t.Fatal(err)
	}
	k := auditlogtest.Keys(t, []string{log.Text, other.Text}, []string{witness.Text})
	for name, c := range map[string]struct{ text, want string }{
		"another size":              {strings.Replace(text, "\n7\n", "\n8\n", 1), "is false"},
		"another origin":            {strings.Replace(text, "audit/1\n", "audit/2\n", 1), "is false"},
		"only the witness":          {text[:strings.Index(text, "— ")] + text[strings.LastIndex(text, "— "):], "none of the keys of that log"},
		"another log's key":         {string(theirs), "none of the keys of that log"},
		"no signature":              {c.Text(), "no signed checkpoint"},
		"nothing":                   {"", "no signed checkpoint"},
		"a key that nobody knows":   {string(signed(t, c, auditlogtest.LogKey(t, origin))), "none of the keys that are trusted"},
		"a note of something else":  {string(both), "this is no checkpoint"},
		"line ends of another kind": {strings.ReplaceAll(text, "\n", "\r\n"), "no signed checkpoint"},
		"too large":                 {text + strings.Repeat("— a b\n", 20000), "more than"},
		"the witness's line is cut": {text[:len(text)-9] + "\n", "is false"},
	} {
		if got, err := k.Open([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %q", name, got.Checkpoint, err, c.want)
		}
	}
}

// A cosignature is that of its witness over its time: what a known witness did not say is an error.
func TestOpenRefusesAFalseCosignature(t *testing.T) {
	log, witness := auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w")
	seven := string(cosigned(t, signed(t, checkpoint(7, auditlog.LeafHash(nil)), log), log, witness))
	eight := string(signed(t, checkpoint(8, auditlog.LeafHash(nil)), log))
	forged := eight + seven[strings.LastIndex(seven, "— "):]
	if _, err := auditlogtest.Keys(t, []string{log.Text}, nil).Open([]byte(forged)); err != nil {
		t.Errorf("who does not know the witness: %v", err)
	}
	if _, err := auditlogtest.Keys(t, []string{log.Text}, []string{witness.Text}).Open([]byte(forged)); err == nil || !strings.Contains(err.Error(), "example.org/w") {
		t.Errorf("a cosignature of another checkpoint: %v", err)
	}
}

func TestParseCheckpoint(t *testing.T) {
	root := auditlog.LeafHash(nil).String()
	for _, text := range []string{"a\n0\n" + root + "\n", "go.sum database tree\n35225469\n" + root + "\n", "a b\n9\n" + root + "\nextension\nanother\n"} {
		c, err := auditlog.ParseCheckpoint(text)
		if err != nil || c.Text() != text {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	for _, text := range []string{
		"", "\n", "\n1\n" + root + "\n", "a\n01\n" + root + "\n", "a\n-1\n" + root + "\n", "a\n+1\n" + root + "\n", "a\n1\n" + root, "a\n1\n" + root[:40] + "\n",
		"a\n9223372036854775808\n" + root + "\n", "a\n1\n" + root + "\n\n", "a\n1\n" + root + "\next", "a\n1\n" + root[:20] + "\r" + root[20:] + "\n",
	} {
		if c, err := auditlog.ParseCheckpoint(text); err == nil {
			t.Errorf("%q is %+v", text, c)
		}
	}
}

func TestSignRefusesAKeyOfAnotherLog(t *testing.T) {
	if _, err := checkpoint(1, auditlog.Hash{}).Sign(auditlogtest.LogKey(t, "example.com/audit/2")); err == nil {
		t.Error("signed")
	}
	if _, err := (auditlog.Checkpoint{Origin: "a\nb"}).Sign(); err == nil {
		t.Error("an origin of two lines is signed")
	}
}

func TestKeys(t *testing.T) {
	log, witness := auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w")
	for name, c := range map[string]struct {
		logs, witnesses []string
		want            string
	}{
		"none":                   {nil, []string{witness.Text}, "no verifier key"},
		"a witness's as a log's": {[]string{witness.Text}, nil, "that of a witness"},
		"a log's as a witness's": {[]string{log.Text}, []string{log.Text}, "that of a log"},
		"another name":           {[]string{"x" + log.Text}, nil, "is none"},
		"another name, witness":  {[]string{log.Text}, []string{"x" + witness.Text}, "is none"},
		"cut":                    {[]string{log.Text[:len(log.Text)-4]}, nil, "is none"},
		"empty":                  {[]string{""}, nil, "is none"},
		"a URL":                  {[]string{"https://example.com/key"}, nil, "is none"},
	} {
		if _, err := auditlog.ParseKeys(c.logs, c.witnesses); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\u2028b"} {
		if got, err := auditlog.NewKey(rand.Reader, name); err == nil {
			t.Errorf("a key of the name %q: %s", name, got)
		}
	}
}

// R74: what is wrong with a secret is said without it.
func TestDamagedSigningKey(t *testing.T) {
	good := auditlogtest.Secret(t, origin)
	for _, text := range []string{"", "PRIVATE+KEY+", good[:len(good)-4], strings.Replace(good, origin, "example.com/audit/2", 1), good + "\n" + good} {
		for _, read := range []func(string) (note.Signer, string, error){auditlog.LogKey, auditlog.WitnessKey} {
			if _, _, err := read(text); err == nil || strings.Contains(err.Error(), good[len(good)-30:len(good)-4]) {
				t.Errorf("%v", err)
			}
		}
	}
	if _, _, err := auditlog.LogKey(" " + good + "\n"); err != nil {
		t.Errorf("with space around, as files have it: %v", err)
	}
}
