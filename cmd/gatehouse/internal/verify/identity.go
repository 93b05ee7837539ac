package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// identity is a leaf certificate with its key, none when empty.
type identity struct{ certificates []tls.Certificate }

// roots are the CA certificates of the mesh.
type roots struct {
	pool *x509.CertPool
	mesh request.Mesh // whose ids they sign
}

// identities has a certificate signed for every caller with that caller's own token, for a key of
// our own.
func (m *matrix) identities(ctx context.Context, dir state.Dir) error {
	management, err := secret(dir, platform.ManagementToken)
	if err != nil {
		return err
	}
	if m.consul, err = registry.NewClient(m.record.Consul, platform.ConsulAPI(dir, management)); err != nil {
		return err
	}
	if err := m.readRoots(ctx); err != nil {
		return err
	}
	if m.door, err = findDoor(dir, m.record, m.roots.mesh); err != nil {
		return err
	}
	conn, err := m.door.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	m.own, m.tokens = map[string]identity{}, map[string]string{}
	for _, name := range m.callers() {
		if m.tokens[name], err = secret(dir, platform.TokenName(name)); err != nil {
			return err
		}
		pair, err := signed(as(ctx, m.tokens[name]), conn, m.roots.mesh.SPIFFE(name))
		if err != nil {
			return fmt.Errorf("get a certificate of %s from Consul: %w", name, err)
		}
		m.own[name] = identity{certificates: []tls.Certificate{pair}}
	}
	return nil
}

func secret(dir state.Dir, name string) (string, error) {
	text, err := dir.ReadSecret(name)
	if err != nil {
		return "", fmt.Errorf("read what Consul asks for: %w: run this as the user that runs the platform", err)
	}
	return text, nil
}

func (m *matrix) readRoots(ctx context.Context) error {
	list, _, err := m.consul.Agent().ConnectCARoots((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("get the mesh's CA from Consul: %w", err)
	}
	m.roots = roots{pool: x509.NewCertPool(), mesh: request.Mesh{TrustDomain: list.TrustDomain, Datacenter: agent.Datacenter, Prefix: m.record.ServicePrefix}}
	for _, root := range list.Roots {
		if !m.roots.pool.AppendCertsFromPEM([]byte(root.RootCertPEM)) {
			return errors.New("read the mesh's CA: it is not a certificate")
		}
	}
	return nil
}

// client is the TLS configuration of a caller that insists on talking to the callee.
func (r roots) client(own identity, callee string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       own.certificates,
		InsecureSkipVerify: true, //nolint:gosec // mesh certificates name a SPIFFE id and no host; the check is ours:
		VerifyConnection: func(c tls.ConnectionState) error {
			leaf := c.PeerCertificates[0]
			intermediates := x509.NewCertPool()
			for _, one := range c.PeerCertificates[1:] {
				intermediates.AddCert(one)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: r.pool, Intermediates: intermediates}); err != nil {
				return fmt.Errorf("the callee's certificate is none of this mesh: %w", err)
			}
			if len(leaf.URIs) != 1 || leaf.URIs[0].String() != r.mesh.SPIFFE(callee) {
				return fmt.Errorf("the certificate is that of %v, not of %s", leaf.URIs, callee)
			}
			return nil
		},
	}
}

// selfSigned makes a certificate that claims the same name and SPIFFE id and that no CA has signed.
func selfSigned(model identity) (identity, error) {
	leaf, err := x509.ParseCertificate(model.certificates[0].Certificate[0])
	if err != nil {
		return identity{}, fmt.Errorf("read a certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("make a key: %w", err)
	}
	forged := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: leaf.Subject, URIs: leaf.URIs, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage: leaf.KeyUsage, ExtKeyUsage: leaf.ExtKeyUsage,
	}
	raw, err := x509.CreateCertificate(rand.Reader, forged, forged, key.Public(), key)
	if err != nil {
		return identity{}, fmt.Errorf("sign a certificate: %w", err)
	}
	return identity{certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}, nil
}
