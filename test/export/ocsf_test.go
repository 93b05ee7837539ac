package export_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// validator is the Python program with what it is made of.
var validator struct {
	once        sync.Once
	dir, python string
}

// valid has a stranger check lines, and fails the test unless all are right.
func valid(t *testing.T, lines []byte) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatal("python3 was not found: install Python 3.10 or newer with venv and put it on PATH")
	}
	validator.once.Do(func() {
		dir, err := os.MkdirTemp(filepath.Dir(gatehouse), "validator-")
		check.NoError(t, err)
		check.NoError(t, os.CopyFS(dir, os.DirFS("validator")))
		program(t, dir, nil, "python3", "-m", "venv", "venv")
		program(t, dir, nil, filepath.Join(dir, "venv/bin/python"), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
		validator.dir, validator.python = dir, filepath.Join(dir, "venv/bin/python")
	})
	if validator.python == "" {
		t.Fatal("there is no validator: see the failure of the test that made it")
	}
	right := strings.TrimSpace(string(program(t, validator.dir, bytes.NewReader(lines), validator.python, "validate.py")))
	if want := fmt.Sprint(bytes.Count(lines, []byte("\n"))); right != want || want == "0" {
		t.Errorf("%s lines are right, want all %s", right, want)
	}
}

// everything are events of every action of the contracts, and of some that no method states: by
// everybody, to everything, however they ended, with much and with little known of them.
func everything(t *testing.T) (lines []string) {
	t.Helper()
	c, err := contract.Load(protoregistry.GlobalFiles)
	check.NoError(t, err)
	kinds := map[string]string{"permission.denied": "organization", "auth.client_signed_in": "client", "auth.sign_in_challenged": "user", "thing.invented": "thing"}
	for _, m := range c.Methods() {
		if m.Audit.Action != "" {
			kinds[m.Audit.Action] = m.Audit.ObjectType
		}
	}
	if len(kinds) < 40 {
		t.Fatalf("only %d actions: the contracts are not linked", len(kinds))
	}
	const id = "8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01"
	actors := []string{
		`{"type":"anonymous"}`, `{"type":"service","id":"identity"}`, `{"type":"user","id":"` + id + `"}`,
		`{"type":"user","id":"` + id + `","session_id":"s","client_id":"c"}`,
	}
	known := []string{
		``, `,"caller":"gateway","organization_id":"` + id + `","request_id":"r","trace_id":"t","method":"a.B/C","client_address":"203.0.113.7","client_agent":"curl/8"`,
		`,"client_address":"2001:db8::1%eth0","client_agent":"","changes":[{"field":"email","json_value":"ada@exämple.com","value":"\"ada@exämple.com\"","personal":true}]`,
		`,"client_address":"not an address","changes":[{"field":"writes","json_value":["organization:1#member@user:a"]}]`,
		`,"changes":[{"field":"deletes","json_value":["organization:1#member@user:a","organization:1#owner@user:a"]}]`,
		`,"changes":[{"field":"gone","personal":true,"json_value":null,"value":""}],"count":"7","occurrences":7`,
	}
	objects := []string{`,"object_type":"%s","object_id":"o"`, `,"object_type":"%s"`, `,"object_type":"%.0s"`}
	outcomes := []string{`"success"`, `"failure","reason":"INVALID_CREDENTIALS"`, `"denied","reason":"PERMISSION_DENIED"`}
	for _, action := range slices.Sorted(maps.Keys(kinds)) {
		for i := range len(known) * len(outcomes) {
			actor, more, outcome, object := actors[i%len(actors)], known[i%len(known)], outcomes[i/len(known)], objects[(i+i/3)%len(objects)]
			lines = append(lines, fmt.Sprintf(`{"id":"%d","time":"2026-11-22T10:00:00.123456Z","action":%q,"outcome":%s,"actor":%s,"source":"identity"%s%s}`,
				len(lines)+1, action, outcome, actor, fmt.Sprintf(object, kinds[action]), more))
		}
	}
	return lines
}

func TestEveryLineIsOCSF(t *testing.T) {
	lines := everything(t)
	w := stand(t, lines)
	for _, format := range []string{"ocsf", "cloudevents"} {
		out := w.export(t, "-o", "-", "--format", format, "--batch", "1000", "--resume", filepath.Join(t.TempDir(), "state"))
		if got := bytes.Count(out, []byte("\n")); got != len(lines) {
			t.Fatalf("%d lines of %d events", got, len(lines))
		}
		valid(t, out)
	}
}
