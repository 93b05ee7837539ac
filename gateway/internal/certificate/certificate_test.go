package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/gateway/internal/certificate"
)

// pair is a certificate with a serial number, and its key, in PEM.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, serial int64) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// served is an opened certificate under a clock of the test.
type served struct {
	*certificate.Files
	t                 *testing.T
	certFile, keyFile string
	log               bytes.Buffer
	now               time.Time
}

func open(t *testing.T, p pair) *served {
	t.Helper()
	dir := t.TempDir()
	s := &served{t: t, certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"), now: time.Now()}
	s.replace(s.certFile, p.cert)
	s.replace(s.keyFile, p.key)
	files, err := certificate.Open(s.certFile, s.keyFile, slog.New(slog.NewJSONHandler(&s.log, nil)), func() time.Time { return s.now })
	if err != nil {
		t.Fatal(err)
	}
	s.Files = files
	return s
}

// replace puts a file in the place of another, as renewals do.
func (s *served) replace(name string, text []byte) {
	s.t.Helper()
	if err := os.WriteFile(name+".new", text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		s.t.Fatal(err)
	}
}

// serial is of the certificate that is served after so much time.
func (s *served) serial(later time.Duration) int64 {
	s.t.Helper()
	s.now = s.now.Add(later)
	served, err := s.Get(&tls.ClientHelloInfo{})
	if err != nil {
		s.t.Fatal(err)
	}
	return served.Leaf.SerialNumber.Int64()
}

func TestARenewedCertificateIsServed(t *testing.T) {
	s, renewed := open(t, newPair(t, 1)), newPair(t, 2)
	s.replace(s.certFile, renewed.cert)
	s.replace(s.keyFile, renewed.key)
	if got := s.serial(time.Second); got != 1 {
		t.Errorf("the files were looked at again within a second: serial %d", got)
	}
	if got := s.serial(time.Minute); got != 2 {
		t.Errorf("serial %d", got)
	}
	if n := strings.Count(s.log.String(), "is served\""); n != 1 {
		t.Errorf("%d lines say so: %s", n, &s.log)
	}
	rewritten := newPair(t, 3) // in place, not moved there
	for name, text := range map[string][]byte{s.certFile: rewritten.cert, s.keyFile: rewritten.key} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.serial(time.Minute); got != 3 {
		t.Errorf("rewritten in place: serial %d", got)
	}
}

// Whatever is wrong with the new files, the old certificate stays, one line says so, and good files are taken when they come.
func TestABrokenRenewalKeepsTheOldOne(t *testing.T) {
	first, second := newPair(t, 1), newPair(t, 2)
	for name, spoil := range map[string]func(s *served){
		"no PEM":            func(s *served) { s.replace(s.certFile, []byte("nonsense")) },
		"empty":             func(s *served) { s.replace(s.keyFile, nil) },
		"half a renewal":    func(s *served) { s.replace(s.certFile, second.cert) },
		"half of a file":    func(s *served) { s.replace(s.certFile, second.cert[:len(second.cert)/2]) },
		"certificate alone": func(s *served) { _ = os.Remove(s.keyFile) },
		"nothing left": func(s *served) {
			_ = os.Remove(s.certFile)
			_ = os.Remove(s.keyFile)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, first)
			spoil(s)
			for range 5 {
				if got := s.serial(time.Minute); got != 1 {
					t.Errorf("serial %d", got)
				}
			}
			if n := strings.Count(s.log.String(), "\n"); n != 1 || !strings.Contains(s.log.String(), `"level":"ERROR"`) {
				t.Errorf("%d lines say so: %s", n, &s.log)
			}
			s.replace(s.certFile, second.cert)
			s.replace(s.keyFile, second.key)
			if got := s.serial(time.Minute); got != 2 {
				t.Errorf("after the repair: serial %d: %s", got, &s.log)
			}
		})
	}
}

func TestNothingToOpen(t *testing.T) {
	if _, err := certificate.Open("none.pem", "none.pem", slog.New(slog.DiscardHandler), time.Now); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("error %v", err)
	}
}

// Handshakes are many at a time; one of them looks.
func TestConcurrentHandshakes(t *testing.T) {
	s, renewed := open(t, newPair(t, 1)), newPair(t, 2)
	s.replace(s.certFile, renewed.cert)
	s.replace(s.keyFile, renewed.key)
	s.now = s.now.Add(time.Minute)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				if c, err := s.Get(nil); err != nil || c == nil {
					t.Errorf("%v %v", c, err)
				}
			}
		})
	}
	wg.Wait()
	if got := s.serial(0); got != 2 {
		t.Errorf("serial %d", got)
	}
}
