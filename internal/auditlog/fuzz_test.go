package auditlog_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
)

// What is a checkpoint has one form, which is the one that was read.
func FuzzParseCheckpoint(f *testing.F) {
	f.Add("a\n1\n" + auditlog.LeafHash(nil).String() + "\n")
	f.Add("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nmore\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := auditlog.ParseCheckpoint(text); err == nil && (c.Text() != text || c.Size < 0 || c.Origin == "") {
			t.Errorf("%q is read as %+v", text, c)
		}
	})
}

// A note that opens was signed: its text is the one that was, whatever stands around it.
func FuzzOpen(f *testing.F) {
	log, witness := auditlogtest.LogKey(f, origin), auditlogtest.WitnessKey(f, "example.org/w")
	c := checkpoint(9, auditlog.LeafHash(nil))
	k := auditlogtest.Keys(f, []string{log.Text}, []string{witness.Text})
	text := cosigned(f, signed(f, c, log), log, witness)
	f.Add(text)
	f.Add(bytes.ReplaceAll(text, []byte("9"), []byte("8")))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := k.Open(text); err == nil && got.Checkpoint != c {
			t.Errorf("%q is opened as %+v", text, got)
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	f.Add(auditlogtest.LogKey(f, origin).Text)
	f.Add(auditlogtest.WitnessKey(f, "example.org/w").Text)
	f.Add("a+00000000+AQ==")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := auditlog.ParseKeys([]string{text}, nil)
		if err == nil && (len(k.Origins()) != 1 || !strings.HasPrefix(strings.TrimSpace(text), k.Origins()[0]+"+")) {
			t.Errorf("%q is that of %q", text, k.Origins())
		}
		_, _ = auditlog.ParseKeys(nil, []string{text})
	})
}

// Whatever is read as a bundle can be written again, and then is read as the same.
func FuzzBundle(f *testing.F) {
	text := collected(f).bundle(f)
	f.Add(text)
	f.Add(bytes.Replace(text, []byte(`"personal"`), []byte(`"hashes":[],"personal"`), 1))
	f.Add([]byte(`{"format":"gatehouse.audit.bundle/1","checkpoint":"","verifier_keys":[],"events":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := auditlog.NewBundleReader(bytes.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		w, err := auditlog.NewBundleWriter(&again, first.Checkpoint, first.Keys)
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for {
			e, err := first.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil || w.Add(e) != nil {
				return
			}
			count++
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		second, err := auditlog.NewBundleReader(&again)
		if err != nil || !bytes.Equal(second.Checkpoint, first.Checkpoint) {
			t.Fatalf("%v", err)
		}
		for range count {
			if _, err := second.Next(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
