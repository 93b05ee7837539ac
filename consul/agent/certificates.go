package agent

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Certificates are what an agent and its clients prove themselves with, in PEM. The key of the CA
// is forgotten once it has signed these two: nobody can have a third one made, and all of them are
// replaced together.
type Certificates struct {
	CA         string // verifies both
	ServerCert string // of the agent: HTTPS, xDS, and RPC between servers
	ServerKey  string
	ClientCert string // of whoever may ask the HTTPS API
	ClientKey  string
}

// Certificates last for two years and are due a year before they end: an agent that was started
// with some that were not due can run for a year.
const (
	certificateLife = 2 * 365 * 24 * time.Hour
	certificateDue  = 365 * 24 * time.Hour
	clockSkew       = time.Hour
)

// serverName is the name that Consul's servers expect of one another.
const serverName = "server." + Datacenter + ".consul"

// NewCertificates makes a CA and signs both certificates.
func NewCertificates(now time.Time) (Certificates, error) {
	var c Certificates
	authority, err := NewAuthority("Gatehouse: CA of the Consul agent", now)
	if err != nil {
		return c, err
	}
	c.CA = authority.PEM
	if c.ServerCert, c.ServerKey, err = authority.Issue(serverName, []string{serverName, "localhost"}, net.IPv4(127, 0, 0, 1)); err != nil {
		return c, err
	}
	c.ClientCert, c.ClientKey, err = authority.Issue("Gatehouse: operator", nil)
	return c, err
}

// issue signs a certificate for a new key.
func issue(certificate, authority *x509.Certificate, signer crypto.Signer, now time.Time) (cert, key string, err error) {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	if cert, err = sign(certificate, authority, own.Public(), signer, now); err != nil {
		return "", "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		return "", "", fmt.Errorf("write a key: %w", err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), nil
}

func sign(certificate, authority *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, now time.Time) (string, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", fmt.Errorf("make a serial number: %w", err)
	}
	certificate.SerialNumber = serial
	certificate.NotBefore, certificate.NotAfter = now.Add(-clockSkew), now.Add(certificateLife)
	raw, err := x509.CreateCertificate(rand.Reader, certificate, authority, public, signer)
	if err != nil {
		return "", fmt.Errorf("sign a certificate: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})), nil
}

// Due says why new ones are needed at a start: these do not belong together, as after a start that
// was interrupted while it wrote them, end too soon, or hold only later, as when the clock was
// ahead while they were made. It is nil while they are good.
func (c Certificates) Due(now time.Time) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(c.CA)) {
		return errors.New("there is no CA")
	}
	for _, one := range []struct {
		cert, key string
		use       x509.ExtKeyUsage
		name      string
	}{{c.ServerCert, c.ServerKey, x509.ExtKeyUsageServerAuth, serverName}, {c.ClientCert, c.ClientKey, x509.ExtKeyUsageClientAuth, ""}} {
		pair, err := tls.X509KeyPair([]byte(one.cert), []byte(one.key))
		if err != nil {
			return err
		}
		for _, at := range []time.Time{now, now.Add(certificateDue)} {
			options := x509.VerifyOptions{Roots: pool, DNSName: one.name, KeyUsages: []x509.ExtKeyUsage{one.use}, CurrentTime: at}
			if _, err := pair.Leaf.Verify(options); err != nil {
				return err
			}
		}
	}
	return nil
}
