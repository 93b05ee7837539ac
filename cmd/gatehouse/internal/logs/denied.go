// Package logs reads what the processes of a platform write: it prints log files and what is added
// to them, and finds in the access logs of the sidecars which calls they refused.
package logs

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/owned"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Format is the access log format of the sidecars, which `mesh denied` reads: one JSON object a
// line, with what a refusal is known by (Envoy, "Access logging", command operators).
func Format() string {
	return `{"time":"%START_TIME%","peer":"%DOWNSTREAM_PEER_URI_SAN%","path":"%REQ(:PATH)%",` +
		`"details":"%RESPONSE_CODE_DETAILS%","connection":"%CONNECTION_TERMINATION_DETAILS%"}`
}

// Entry is the config entry that makes every sidecar of a cluster write such a line for each call
// to its standard output.
func Entry() *api.ProxyConfigEntry {
	return &api.ProxyConfigEntry{
		Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal,
		TransparentProxy: &api.TransparentProxyConfig{}, // the server writes this default out
		AccessLogs:       &api.AccessLogsConfig{Enabled: true, DisableListenerLogs: true, Type: api.StdOutLogSinkType, JSONFormat: Format()},
		Meta:             registry.Managed(),
	}
}

// line is one call in an access log.
type line struct {
	Time       time.Time `json:"time"`
	Peer       string    `json:"peer"`
	Path       string    `json:"path"`
	Details    string    `json:"details"`
	Connection string    `json:"connection"`
}

// Call is a kind of call that was refused.
type Call struct {
	Caller string    `json:"caller"` // program that called; the SPIFFE id of who is none of the platform's
	Callee string    `json:"callee"`
	Method string    `json:"method"` // "/package.Service/Method"; empty for a connection, as to PostgreSQL
	Count  int       `json:"count"`
	Last   time.Time `json:"last"`
}

// Tally counts refused calls.
type Tally struct {
	since  time.Time
	prefix request.ServicePrefix
	calls  map[Call]Call // keyed by caller, callee and method alone
}

// NewTally counts calls that began at since or later. Programs are known by the prefix of their
// services.
func NewTally(since time.Time, prefix request.ServicePrefix) *Tally {
	return &Tally{since: since, prefix: prefix, calls: map[Call]Call{}}
}

// AddFile reads the log of one callee's sidecar, and what was set aside of it when it grew too
// large. A missing file holds nothing.
func (t *Tally) AddFile(callee, path string) error {
	for _, part := range []string{path + ".1", path} {
		f, err := owned.Open(part, os.O_RDONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the log of %s's sidecar: %w", callee, err)
		}
		err = t.Add(callee, f)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// Add reads the log of one callee's sidecar. Lines of other kinds are passed over.
func (t *Tally) Add(callee string, log io.Reader) error {
	scanner := bufio.NewScanner(log)
	scanner.Buffer(make([]byte, 64<<10), 1<<20)
	for scanner.Scan() {
		if call, ok := refused(scanner.Bytes()); ok && !call.Last.Before(t.since) {
			call.Caller, call.Callee = t.program(call.Caller), callee
			t.count(call)
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read the log of %s's sidecar: %w", callee, err)
	}
	return nil
}

func (t *Tally) count(call Call) {
	key := Call{Caller: call.Caller, Callee: call.Callee, Method: call.Method}
	known := t.calls[key]
	call.Count = known.Count + 1
	if known.Last.After(call.Last) {
		call.Last = known.Last
	}
	t.calls[key] = call
}

// Calls are the refused calls, the most frequent first.
func (t *Tally) Calls() []Call {
	all := make([]Call, 0, len(t.calls))
	for _, call := range t.calls {
		all = append(all, call)
	}
	slices.SortFunc(all, func(a, b Call) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Caller, b.Caller), strings.Compare(a.Callee, b.Callee), strings.Compare(a.Method, b.Method))
	})
	return all
}

// refusal is how Envoy's RBAC filters, for calls and for connections, begin what they say of a
// refusal.
const refusal = "rbac_access_denied"

// refused reads one line of a sidecar's log, with the SPIFFE id of the caller; ok is false for
// everything but a refused call.
func refused(raw []byte) (call Call, ok bool) {
	if !bytes.HasPrefix(raw, []byte("{")) || !bytes.Contains(raw, []byte(refusal)) {
		return Call{}, false
	}
	var l line
	if err := json.Unmarshal(raw, &l); err != nil {
		return Call{}, false
	}
	if !strings.HasPrefix(l.Details, refusal) && !strings.HasPrefix(l.Connection, refusal) {
		return Call{}, false // a path may say anything
	}
	return Call{Caller: l.Peer, Method: strings.TrimPrefix(l.Path, "-"), Last: l.Time}, true
}

// program is the program at the end of a SPIFFE id. The id of somebody else's service, and one of
// another form, is shown as it is.
func (t *Tally) program(id string) string {
	if _, service, found := strings.Cut(id, "/svc/"); found {
		if name, ours := t.prefix.Program(service); ours {
			return name
		}
	}
	return id
}
