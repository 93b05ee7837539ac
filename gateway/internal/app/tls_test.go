package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/gateway/internal/app"
	"github.com/gatehouse/gatehouse/gateway/internal/gatewaytest"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// certificate writes a self-signed certificate of 127.0.0.1 and its key.
func certificate(t *testing.T) (certFile, keyFile string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, pool
}

// With a certificate the gateway serves TLS 1.2 and newer, over HTTP/1.1 and HTTP/2, and no clear text.
func TestTLS(t *testing.T) {
	certFile, keyFile, pool := certificate(t)
	r := startOn(t, gatewaytest.Start(t, nil), map[string]string{
		"GATEHOUSE_GATEWAY_TLS_CERT_FILE": certFile, "GATEHOUSE_GATEWAY_TLS_KEY_FILE": keyFile,
	})
	address := strings.TrimPrefix(r.url, "http://")
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: protocol == "HTTP/2.0"}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://" + address + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != http.StatusOK || resp.Proto != protocol {
			t.Errorf("%s: %d over %s", protocol, resp.StatusCode, resp.Proto)
		}
	}
	if conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if resp, err := http.Get(r.url + "/livez"); err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("clear text is served on the TLS port")
		}
	}
}

// A renewed certificate is served without a restart.
func TestRenewedCertificate(t *testing.T) {
	certFile, keyFile, first := certificate(t)
	r := startOn(t, gatewaytest.Start(t, nil), map[string]string{
		"GATEHOUSE_GATEWAY_TLS_CERT_FILE": certFile, "GATEHOUSE_GATEWAY_TLS_KEY_FILE": keyFile,
	})
	trusts := func(pool *x509.CertPool) bool {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "http://"), &tls.Config{RootCAs: pool})
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
	if !trusts(first) {
		t.Fatal("the first certificate is not served")
	}
	newCert, newKey, second := certificate(t)
	for from, to := range map[string]string{newCert: certFile, newKey: keyFile} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	check.Eventually(t, "the renewed certificate", func() bool { return trusts(second) })
	if trusts(first) {
		t.Error("the old certificate is served on")
	}
}

// A start that cannot succeed says why in one sentence.
func TestStartRefusals(t *testing.T) {
	s := gatewaytest.Start(t, nil)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		env  map[string]string
		says string
	}{
		"taken port":     {map[string]string{"GATEHOUSE_GATEWAY_LISTEN": taken.Addr().String()}, "another program listens on " + taken.Addr().String()},
		"no certificate": {map[string]string{"GATEHOUSE_GATEWAY_TLS_CERT_FILE": "none.pem", "GATEHOUSE_GATEWAY_TLS_KEY_FILE": "none.pem"}, "GATEHOUSE_GATEWAY_TLS_CERT_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			c0, err := parse(t, environment(s, c.env))
			if err != nil {
				t.Fatal(err)
			}
			gateway := fxmod.New(app.Module(c0))
			err = gateway.Err()
			if err == nil {
				err = gateway.Start(t.Context())
				defer func() {
					if err := gateway.Stop(context.Background()); err != nil {
						t.Error(err)
					}
				}()
			}
			if err == nil {
				t.Fatal("it starts")
			}
			if text := fxmod.Sentence(err); !strings.Contains(text, c.says) || strings.Contains(text, "\n") {
				t.Errorf("it says: %s", text)
			}
		})
	}
}
