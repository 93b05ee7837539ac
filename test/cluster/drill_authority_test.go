package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The mesh gets another root: every sidecar has another certificate, and nobody notices.
func TestRotationOfTheMeshsRoot(t *testing.T) {
	l := drill(t, func(c *cluster, l *load) {
		client := c.consul(t)
		before := c.serials(t, client)
		config, _, err := client.Connect().CAGetConfig(nil)
		check.NoError(t, err)
		root, _, err := client.Connect().CARoots(nil)
		check.NoError(t, err)
		bits := 384
		if config.Config["PrivateKeyBits"] == float64(bits) || config.Config["PrivateKeyBits"] == int64(bits) {
			bits = 256
		}
		config.Config["PrivateKeyType"], config.Config["PrivateKeyBits"] = "ec", bits
		_, err = client.Connect().CASetConfig(config, nil)
		check.NoError(t, err)
		begun := time.Now()
		check.Within(t, 2*time.Minute, "every sidecar has another certificate", func() error {
			now, _, err := client.Connect().CARoots(nil)
			if err != nil || now.ActiveRootID == root.ActiveRootID {
				return fmt.Errorf("the root is the one of before: %w", err)
			}
			for where, serial := range c.serials(t, client) {
				if serial == "" || serial == before[where] {
					return fmt.Errorf("%s has %q, before it had %q", where, serial, before[where])
				}
			}
			return nil
		})
		t.Logf("%d sidecars have certificates of the new root after %s", len(before), time.Since(begun).Round(time.Millisecond))
		l.more(t, 5*perSecond)
	})
	l.unharmed(t)
}

// serials are those of the certificates by which sidecars answer, by service and address.
func (c *cluster) serials(t *testing.T, client *consul.Client) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, program := range append([]string{"postgres"}, programs...) {
		name := c.value("GATEHOUSE_MESH_SERVICE_PREFIX") + program + "-sidecar-proxy"
		entries, _, err := client.Health().Service(name, "", true, nil)
		check.NoError(t, err)
		for _, entry := range entries {
			address := net.JoinHostPort(entry.Service.Address, strconv.Itoa(entry.Service.Port))
			found[name+" "+address] = serial(t.Context(), address)
		}
	}
	if len(found) < 2*len(programs) {
		t.Fatalf("only %d sidecars: %v", len(found), found)
	}
	return found
}

// serial is what the server's certificate has, which it shows before it asks for the client's.
func serial(ctx context.Context, address string) (serial string) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(state tls.ConnectionState) error {
		serial = state.PeerCertificates[0].SerialNumber.String()
		return errors.New("seen")
	}}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: 2 * time.Second}, Config: config}
	if conn, err := dialer.DialContext(ctx, "tcp", address); err == nil {
		_ = conn.Close()
	}
	return serial
}
