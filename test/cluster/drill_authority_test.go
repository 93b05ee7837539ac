package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The mesh gets another root: every sidecar has another certificate, and nobody notices.
func TestRotationOfTheMeshsRoot(t *testing.T) {
	l := drill(t, func(c *cluster, l *load) {
		client := c.consul(t)
		before := c.serials(t, "")
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
		check.Within(t, time.Minute, "there is another root", func() error {
			now, _, err := client.Connect().CARoots(nil)
			if err == nil && now.ActiveRootID == root.ActiveRootID {
				err = errors.New("the root is the one of before")
			}
			return err
		})
		c.renewed(t, before, "", len(before), 2*time.Minute)
		t.Logf("%d sidecars have certificates of the new root after %s", len(before), time.Since(begun).Round(time.Millisecond))
		l.more(t, 5*perSecond)
	})
	l.unharmed(t)
}

// renewed waits until each sidecar of a host, or of all, has a certificate that none had before. There
// are so many at least.
func (c *cluster) renewed(t *testing.T, before map[string]string, host string, least int, within time.Duration) {
	t.Helper()
	old := slices.Collect(maps.Values(before))
	check.Within(t, within, "every sidecar has another certificate", func() error {
		now := c.serials(t, host)
		for where, serial := range now {
			if serial == "" || slices.Contains(old, serial) {
				return fmt.Errorf("%s has %q", where, serial)
			}
		}
		if len(now) < least {
			return fmt.Errorf("there are only %d: %v", len(now), now)
		}
		return nil
	})
}

// serials are those of the certificates by which the sidecars of a host, or of all, answer, by service
// and address.
func (c *cluster) serials(t *testing.T, host string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, program := range append([]string{"postgres"}, programs...) {
		name := c.value("GATEHOUSE_MESH_SERVICE_PREFIX") + program + "-sidecar-proxy"
		entries, _, err := c.consul(t).Health().Service(name, "", false, nil)
		check.NoError(t, err)
		for _, entry := range entries {
			if host == "" || entry.Node.Node == host {
				address := net.JoinHostPort(entry.Service.Address, strconv.Itoa(entry.Service.Port))
				found[name+" "+address] = serial(t.Context(), address)
			}
		}
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
