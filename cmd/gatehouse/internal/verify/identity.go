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
	"net/url"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// identity is a leaf certificate with its key, none when empty.
type identity struct{ certificates []tls.Certificate }

// roots are the CA certificates of the mesh.
type roots struct{ pool *x509.CertPool }

// identities gets the leaf of every caller with that caller's own token, as its sidecar does.
func (m *matrix) identities(ctx context.Context, dir state.Dir) error {
	management, err := dir.ReadSecret(platform.ManagementToken)
	if err != nil {
		return fmt.Errorf("read the operator's Consul token: %w: run this as the user that runs the platform", err)
	}
	m.management = management
	m.own = map[string]identity{}
	for _, name := range m.callers() {
		token, err := dir.ReadSecret(platform.TokenName(name))
		if err != nil {
			return fmt.Errorf("read the Consul token of %s: %w: run this as the user that runs the platform", name, err)
		}
		client, err := mesh.NewClient(mesh.Config{ConsulAddress: m.record.Consul, ConsulToken: config.NewSecret(token)})
		if err != nil {
			return err
		}
		if m.roots.pool == nil {
			if err := m.readRoots(ctx, client); err != nil {
				return err
			}
		}
		leaf, _, err := client.Agent().ConnectCALeaf(name, (&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return fmt.Errorf("get the certificate of %s from Consul: %w", name, err)
		}
		pair, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
		if err != nil {
			return fmt.Errorf("read the certificate of %s: %w", name, err)
		}
		m.own[name] = identity{certificates: []tls.Certificate{pair}}
	}
	return nil
}

func (m *matrix) readRoots(ctx context.Context, client *api.Client) error {
	list, _, err := client.Agent().ConnectCARoots((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("get the mesh's CA from Consul: %w", err)
	}
	m.roots.pool = x509.NewCertPool()
	for _, root := range list.Roots {
		if !m.roots.pool.AppendCertsFromPEM([]byte(root.RootCertPEM)) {
			return errors.New("read the mesh's CA: it is no certificate")
		}
	}
	return nil
}

// client is the TLS configuration of a caller that insists on talking to the callee.
func (r roots) client(own identity, callee string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       own.certificates,
		InsecureSkipVerify: true, // mesh certificates name a SPIFFE id and no host; the check is ours:
		VerifyConnection: func(c tls.ConnectionState) error {
			leaf := c.PeerCertificates[0]
			intermediates := x509.NewCertPool()
			for _, one := range c.PeerCertificates[1:] {
				intermediates.AddCert(one)
			}
			if _, err := leaf.Verify(x509.VerifyOptions{Roots: r.pool, Intermediates: intermediates}); err != nil {
				return fmt.Errorf("the callee's certificate is none of this mesh: %w", err)
			}
			if len(leaf.URIs) != 1 || !strings.HasSuffix(leaf.URIs[0].Path, "/svc/"+callee) {
				return fmt.Errorf("the certificate is that of %v, not of %s", leaf.URIs, callee)
			}
			return nil
		},
	}
}

// selfSigned makes a certificate that claims the same SPIFFE id and that no CA has signed.
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
		SerialNumber: big.NewInt(1), URIs: []*url.URL{leaf.URIs[0]}, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage: leaf.KeyUsage, ExtKeyUsage: leaf.ExtKeyUsage,
	}
	raw, err := x509.CreateCertificate(rand.Reader, forged, forged, key.Public(), key)
	if err != nil {
		return identity{}, fmt.Errorf("sign a certificate: %w", err)
	}
	return identity{certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}}}, nil
}
