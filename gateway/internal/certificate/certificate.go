// Package certificate is the certificate of the public listener: it is read from files, and read again when they change, so that a
// renewal needs no restart. Wiring (gateway/internal/app) imports it.
package certificate

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// every is how often handshakes look whether the files have changed, at most.
const every = 2 * time.Second

// Files is a certificate chain and its private key, in a PEM file each. Safe for concurrent use.
type Files struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time
	current           atomic.Pointer[tls.Certificate]

	mu     sync.Mutex // held by the one handshake that looks; the others take what there is
	looked time.Time
	seen   state
}

// state tells one version of the two files from another; nil is a file that cannot be found.
type state struct{ cert, key os.FileInfo }

// Open reads the files for the first time. Its error names the file.
func Open(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*Files, error) {
	f := &Files{certFile: certFile, keyFile: keyFile, log: log, now: now, looked: now()}
	f.seen = f.state() // before the files are read: a change in between is found later
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// Get is tls.Config.GetCertificate. It never fails: what cannot be used, such as half of a renewal, is logged once, and the certificate
// before it is served on.
func (f *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if f.mu.TryLock() {
		f.look()
		f.mu.Unlock()
	}
	return f.current.Load(), nil
}

// look reads the files if they have changed since the last look. Callers hold mu.
func (f *Files) look() {
	now := f.now()
	if now.Sub(f.looked) < every {
		return
	}
	f.looked = now
	found := f.state()
	if same(found.cert, f.seen.cert) && same(found.key, f.seen.key) {
		return
	}
	f.seen = found
	if err := f.load(); err != nil {
		f.log.Error("the changed certificate cannot be used: the one before is served on", "error", err,
			"expires", f.current.Load().Leaf.NotAfter)
		return
	}
	f.log.Info("the changed certificate is served", "expires", f.current.Load().Leaf.NotAfter)
}

func (f *Files) load() error {
	pair, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
	if err != nil {
		return err
	}
	f.current.Store(&pair)
	return nil
}

func (f *Files) state() state {
	var found state
	if info, err := os.Stat(f.certFile); err == nil {
		found.cert = info
	}
	if info, err := os.Stat(f.keyFile); err == nil {
		found.key = info
	}
	return found
}

// same also tells a file from another that was moved, or linked, into its place.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}
