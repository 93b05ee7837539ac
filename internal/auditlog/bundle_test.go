package auditlog_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
)

// happened is an event with a personal value.
func happened(t testing.TB, i int) event.Sealed {
	t.Helper()
	e := event.Event{
		ID: fmt.Sprintf("0192f0c1-2f6e-7c3a-9d55-%012x", i), Time: time.Unix(int64(i), 0).UTC(), Source: "identity", Action: "user.updated",
		Outcome: event.Success, Actor: event.Actor{Type: event.Service, ID: "gateway"}, ClientAddress: "203.0.113.7",
		Changes: []event.Change{
			{Field: "user.email", Value: json.RawMessage(`"a@example.com"`), Personal: true},
			{Field: "user.locale", Value: json.RawMessage(`"de"`)},
		},
	}
	sealed, err := e.Seal(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// evidence is a log of events, its key, and the entries of some of them.
type evidence struct {
	key     auditlogtest.Key
	note    []byte
	entries []auditlog.Entry
}

func collected(t testing.TB) evidence {
	t.Helper()
	var l auditlogtest.Log
	var sealed []event.Sealed
	for i := range 20 {
		sealed = append(sealed, happened(t, i))
		l.Add(t, sealed[i].Canonical)
	}
	e := evidence{key: auditlogtest.LogKey(t, origin)}
	e.note = l.Checkpoint(t, 20, e.key)
	for _, i := range []int64{0, 7, 19} {
		e.entries = append(e.entries, auditlog.Entry{Index: i, Canonical: sealed[i].Canonical, Personal: sealed[i].Personal, Proof: l.Inclusion(t, i, 20)})
	}
	return e
}

func (e evidence) bundle(t testing.TB) []byte {
	t.Helper()
	var text bytes.Buffer
	w, err := auditlog.NewBundleWriter(&text, e.note, []string{e.key.Text})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range e.entries {
		if err := w.Add(entry); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func (e evidence) verify(t testing.TB, bundle []byte) (auditlog.BundleReport, error) {
	t.Helper()
	return auditlog.VerifyBundle(bytes.NewReader(bundle), auditlogtest.Keys(t, []string{e.key.Text}, nil), nil)
}

func TestBundle(t *testing.T) {
	e := collected(t)
	text := e.bundle(t)
	var document map[string]any // anybody's reader of JSON takes it
	if err := json.Unmarshal(text, &document); err != nil || document["format"] != "gatehouse.audit.bundle/1" {
		t.Fatalf("%v, %v", document["format"], err)
	}
	var seen []string
	report, err := auditlog.VerifyBundle(bytes.NewReader(text), auditlogtest.Keys(t, []string{e.key.Text}, nil), func(entry auditlog.Entry, read event.Event) {
		seen = append(seen, fmt.Sprintf("%d %s %s", entry.Index, read.ID, read.ClientAddress))
	})
	if err != nil || report.Events != 3 || report.Personal != 6 || report.Missing != 0 || report.Checkpoint.Size != 20 {
		t.Errorf("%+v, %v", report, err)
	}
	if len(seen) != 3 || seen[1] != "7 0192f0c1-2f6e-7c3a-9d55-000000000007 203.0.113.7" {
		t.Errorf("%q", seen)
	}
}

// Erasing a personal value leaves the proof as it was.
func TestBundleWithErasedValues(t *testing.T) {
	e := collected(t)
	e.entries[0].Personal, e.entries[1].Personal = nil, e.entries[1].Personal[1:]
	if report, err := e.verify(t, e.bundle(t)); err != nil || report.Personal != 3 || report.Missing != 3 {
		t.Errorf("%+v, %v", report, err)
	}
}

// R69: each thing that can be changed in a bundle is found, and its place is named.
func TestTamperedBundle(t *testing.T) {
	whole := collected(t)
	fresh := happened(t, 7)
	for name, c := range map[string]struct {
		change func(*evidence)
		place  string
	}{
		"an event's bytes": {func(e *evidence) {
			e.entries[1].Canonical = bytes.Replace(e.entries[1].Canonical, []byte("success"), []byte("failure"), 1)
		}, "event 2 of the bundle (leaf 7)"},
		"one byte more":     {func(e *evidence) { e.entries[0].Canonical = append(e.entries[0].Canonical, '\n') }, "event 1 of the bundle (leaf 0)"},
		"another event":     {func(e *evidence) { e.entries[1].Canonical, e.entries[1].Personal = fresh.Canonical, fresh.Personal }, "event 2"},
		"another place":     {func(e *evidence) { e.entries[1].Index = 8 }, "event 2 of the bundle (leaf 8)"},
		"beyond the tree":   {func(e *evidence) { e.entries[2].Index = 20 }, "event 3 of the bundle (leaf 20)"},
		"exchanged":         {func(e *evidence) { e.entries[0].Index, e.entries[1].Index = 1, 9 }, "event 1"},
		"a personal value":  {func(e *evidence) { e.entries[2].Personal[0].Value = `"b@example.com"` }, "event 3"},
		"a salt":            {func(e *evidence) { e.entries[2].Personal[1].Salt = make([]byte, 16) }, "event 3"},
		"a value too many":  {func(e *evidence) { e.entries[2].Personal = append(e.entries[2].Personal, e.entries[2].Personal[0]) }, "event 3"},
		"a proof's hash":    {func(e *evidence) { e.entries[1].Proof[2][5] ^= 1 }, "event 2"},
		"a hash less":       {func(e *evidence) { e.entries[1].Proof = e.entries[1].Proof[1:] }, "event 2"},
		"a hash more":       {func(e *evidence) { e.entries[1].Proof = append(e.entries[1].Proof, auditlog.Hash{}) }, "event 2"},
		"the checkpoint":    {func(e *evidence) { e.note = bytes.Replace(e.note, []byte("\n20\n"), []byte("\n21\n"), 1) }, "the checkpoint of the bundle"},
		"somebody's own":    {func(e *evidence) { e.note = signed(t, checkpoint(20, auditlog.Hash{}), auditlogtest.LogKey(t, origin)) }, "the checkpoint of the bundle"},
		"no signed text":    {func(e *evidence) { e.note = nil }, "the checkpoint of the bundle"},
		"a member of bytes": {func(e *evidence) { e.entries[0].Canonical = []byte(`{}`) }, "event 1"},
	} {
		e := copied(whole)
		c.change(&e)
		_, err := e.verify(t, e.bundle(t))
		var tampered *auditlog.Tampered
		if !errors.As(err, &tampered) || !strings.HasPrefix(err.Error(), c.place) {
			t.Errorf("%s: %v, want the place %q", name, err, c.place)
		}
	}
	if report, err := whole.verify(t, whole.bundle(t)); err != nil {
		t.Errorf("unchanged: %+v, %v", report, err)
	}
}

func copied(e evidence) evidence {
	e.note = bytes.Clone(e.note)
	entries := e.entries
	e.entries = nil
	for _, entry := range entries {
		entry.Canonical, entry.Proof = bytes.Clone(entry.Canonical), append([]auditlog.Hash{}, entry.Proof...)
		entry.Personal = append([]event.Personal{}, entry.Personal...)
		e.entries = append(e.entries, entry)
	}
	return e
}

func TestBundleIsReadStrictly(t *testing.T) {
	e := collected(t)
	text := string(e.bundle(t))
	last := strings.LastIndex(text, `{"leaf_index"`)
	for name, c := range map[string]struct{ text, want string }{
		"nothing":               {"", "this is no bundle"},
		"an array":              {"[]", "this is no bundle"},
		"another format":        {strings.Replace(text, "bundle/1", "bundle/2", 1), "bundle/2"},
		"no format":             {`{"checkpoint":""}`, "where the member format belongs"},
		"another first member":  {strings.Replace(text, `"format"`, `"Format"`, 1), "where the member format belongs"},
		"a member too many":     {strings.Replace(text, `,"events"`, `,"more":1,"events"`, 1), "where the member events belongs"},
		"a member at the end":   {strings.TrimSuffix(text, "}\n") + `,"more":1}`, "stands where } belongs"},
		"an event's member":     {strings.Replace(text, `{"leaf_index"`, `{"more":1,"leaf_index"`, 1), `"more" is unknown`},
		"a member twice":        {strings.Replace(text, `{"leaf_index"`, `{"leaf_index":3,"leaf_index"`, 1), `"leaf_index" is unknown here, or comes twice`},
		"another case":          {strings.Replace(text, `{"leaf_index"`, `{"Leaf_Index"`, 1), `"Leaf_Index" is unknown`},
		"a value's member":      {strings.Replace(text, `{"field"`, `{"x":{},"field"`, 1), `"x" is unknown`},
		"a deeper member":       {strings.Replace(text, `{"field"`, `{"leaf_index":1,"field"`, 1), `"leaf_index" is unknown`},
		"no number":             {strings.Replace(text, `"leaf_index":7`, `"leaf_index":"7"`, 1), "read event 2"},
		"a fraction":            {strings.Replace(text, `"leaf_index":7`, `"leaf_index":7.5`, 1), "read event 2"},
		"a short hash":          {strings.Replace(text, `"hashes":["`, `"hashes":["aGk=","`, 1), "hash 1 of a proof has 2 bytes"},
		"no base64":             {strings.Replace(text, `"canonical":"`, `"canonical":"*`, 1), "read event 1"},
		"cut in an event":       {text[:last+100], "ends too early"},
		"cut after an event":    {text[:last-2], "ends too early"},
		"cut before the end":    {strings.TrimSuffix(text, "}\n"), "ends too early"},
		"another bundle behind": {text + text, "something follows its end"},
		"a text as an event":    {strings.Replace(text, `"events":[`, `"events":["x",`, 1), "read event 1"},
		"a huge text":           {strings.Replace(text, `{"leaf_index"`, `{"x":"`+strings.Repeat("x", 5<<20)+`","leaf_index"`, 1), "larger than"},
		"a huge head":           {strings.Replace(text, `"format"`, strings.Repeat(" ", 1<<20)+`"format"`, 1), "larger than"},
		"too many keys":         {strings.Replace(text, `"verifier_keys":[`, `"verifier_keys":[`+strings.Repeat(`"",`, 100), 1), "verifier keys are more than"},
		"too many hashes":       {strings.Replace(text, `"hashes":[`, `"hashes":[`+strings.Repeat(`"",`, 100), 1), "at most 63 hashes"},
		"space between events":  {strings.Replace(text, `{"leaf_index":19`, strings.Repeat(" ", 9<<20)+`{"leaf_index":19`, 1), "larger than"},
	} {
		_, err := e.verify(t, []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	spaced, err := json.MarshalIndent(json.RawMessage(text), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.verify(t, spaced); err != nil {
		t.Errorf("laid out for people: %v", err)
	}
}

func TestBundleIsWrittenInTheOrderOfLeaves(t *testing.T) {
	e := collected(t)
	w, err := auditlog.NewBundleWriter(io.Discard, e.note, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(e.entries[1]); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 1} {
		if err := w.Add(e.entries[i]); err == nil {
			t.Errorf("leaf %d comes after leaf 7", e.entries[i].Index)
		}
	}
	twice := bytes.Replace(e.bundle(t), []byte(`"leaf_index":7`), []byte(`"leaf_index":0`), 1)
	if _, err := e.verify(t, twice); err == nil || !strings.Contains(err.Error(), "comes after leaf 0") {
		t.Errorf("the same leaf twice: %v", err)
	}
}

// A bundle of any length is verified in little memory.
func TestBundleIsNotKept(t *testing.T) {
	e := collected(t)
	r, w := io.Pipe()
	go func() {
		text := e.bundle(t)
		cut := bytes.LastIndex(text, []byte("\n]}"))
		_, _ = w.Write(text[:cut])
		filler := bytes.Repeat([]byte(" "), 1<<20)
		for range 3 { // beyond what one event may have, so that the reader ends by an error
			_, _ = w.Write(filler)
		}
		for range 200 {
			if _, err := w.Write(filler); err != nil {
				return
			}
		}
		_ = w.Close()
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := auditlog.VerifyBundle(r, auditlogtest.Keys(t, []string{e.key.Text}, nil), nil)
	runtime.ReadMemStats(&after)
	_ = r.Close()
	if err == nil {
		t.Error("200 MiB of space are a bundle")
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}
