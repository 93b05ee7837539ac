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

	"github.com/gatehouse/gatehouse/internal/request"
)

// identity is a leaf certificate with its key, none when empty.
type identity struct{ certificates []tls.Certificate }

// roots are the CA certificates of the mesh.
type roots struct {
	pool *x509.CertPool
	mesh request.Mesh // whose ids they sign
}

// readRoots asks for the CA of a mesh, whose trust domain it adds.
func readRoots(ctx context.Context, consul *api.Client, mesh request.Mesh) (roots, error) {
	list, _, err := consul.Agent().ConnectCARoots((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return roots{}, fmt.Errorf("get the mesh's CA from Consul: %w", err)
	}
	mesh.TrustDomain = list.TrustDomain
	r := roots{pool: x509.NewCertPool(), mesh: mesh}
	for _, root := range list.Roots {
		if !r.pool.AppendCertsFromPEM([]byte(root.RootCertPEM)) {
			return roots{}, errors.New("read the mesh's CA: it is not a certificate")
		}
	}
	return r, nil
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
