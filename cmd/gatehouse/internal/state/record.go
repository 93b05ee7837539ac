package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/owned"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// ErrNotRunning says that no platform uses the state folder.
var ErrNotRunning = errors.New("no platform is running with this state folder: start one with `gatehouse up`")

// Record is what runs: platform.json.
type Record struct {
	Supervisor  supervise.Identity `json:"supervisor"`
	Healthy     bool               `json:"healthy"` // once everything was
	Offset      int                `json:"offset"`
	Mesh        string             `json:"mesh,omitempty"` // folder of the mesh definition; empty for the built-in one
	Consul      string             `json:"consul"`         // host:port of the HTTPS API
	TrustDomain string             `json:"trust_domain"`   // of the mesh's CA, once Consul runs
	Gateway     string             `json:"gateway"`        // URL
	REST        bool               `json:"rest,omitempty"` // whether services answer REST themselves
	Postgres    string             `json:"postgres"`       // host:port of the database server
	External    bool               `json:"external_postgres,omitempty"`
	Processes   []Process          `json:"processes"` // in order of start

	ServicePrefix request.ServicePrefix `json:"service_prefix,omitempty"` // of the services in Consul
	Scale         mesh.Scale            `json:"scale,omitempty"`
}

// Process is one living child.
type Process struct {
	Name string `json:"name"`
	supervise.Identity
}

// SidecarOf is the process name of a service's sidecar.
func SidecarOf(service string) string { return service + "-sidecar" }

// Names of the processes that are not programs of the mesh definition.
const (
	ConsulProcess   = "consul"
	PostgresProcess = "postgres"
)

// XDS is the host:port of Consul's gRPC over TLS.
func (r Record) XDS() string { return fmt.Sprintf("127.0.0.1:%d", mesh.ConsulXDSPort+r.Offset) }

// PID returns the pid of a process, 0 while it does not run.
func (r Record) PID(name string) int {
	for _, p := range r.Processes {
		if p.Name == name {
			return p.PID
		}
	}
	return 0
}

func (d Dir) recordPath() string { return filepath.Join(d.root, "platform.json") }

// Write stores the record.
func (d Dir) Write(r Record) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the record of the platform: %w", err)
	}
	return writeFile(d.recordPath(), raw)
}

// Read returns the record that the last `up` left, ErrNotRunning when there is none. Its supervisor may be dead: see Running.
func (d Dir) Read() (Record, error) {
	raw, err := read(d.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, ErrNotRunning
	}
	if err != nil {
		return Record{}, fmt.Errorf("read the record of the platform: %w", err)
	}
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{}, fmt.Errorf("read the record of the platform %s: %w: remove the file", d.recordPath(), err)
	}
	return r, nil
}

// Running returns the record of a living platform, ErrNotRunning when there is none.
func (d Dir) Running() (Record, error) {
	r, err := d.Read()
	if err != nil {
		return Record{}, err
	}
	if !r.Supervisor.Alive() {
		return Record{}, ErrNotRunning
	}
	return r, nil
}

// Forget removes the record: nothing runs any more.
func (d Dir) Forget() error {
	if err := os.Remove(d.recordPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the record of the platform: %w", err)
	}
	return nil
}

func (d Dir) lockPath() string { return filepath.Join(d.root, "up.lock") }

// Lock makes this process the only `up` of the state folder until the returned function is called or the process ends. Children do
// not inherit it.
func (d Dir) Lock() (unlock func(), err error) {
	unlock, held, err := d.TryLock()
	if !held {
		return unlock, err
	}
	who := "another `gatehouse up`"
	if r, readErr := d.Running(); readErr == nil {
		who = fmt.Sprintf("%s (pid %d)", who, r.Supervisor.PID)
	}
	return nil, fmt.Errorf("%s runs with the state folder %s: end it with `gatehouse down`, or name another folder with --state and other ports with --port-offset", who, d.root)
}

// TryLock is Lock for who has words of his own for a folder that another process holds.
func (d Dir) TryLock() (unlock func(), held bool, err error) {
	f, err := owned.Open(d.lockPath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, d.unwritable(err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return func() { _ = f.Close() }, false, nil
	}
	_ = f.Close()
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, false, fmt.Errorf("lock the state folder %s: %w", d.root, err)
	}
	return nil, true, nil
}

// Save stores a record beside the platform's, as JSON.
func (d Dir) Save(name string, record any) error {
	raw, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return writeFile(filepath.Join(d.root, name), raw)
}

// Load reads what Save has stored; found says whether there is such a record.
func (d Dir) Load(name string, record any) (found bool, err error) {
	path := filepath.Join(d.root, name)
	raw, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, record)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w: remove the file", path, err)
	}
	return true, nil
}
