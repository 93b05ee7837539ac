package agent_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/consul/agent"
)

func TestCertificatesAreDueAYearBeforeTheyEnd(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	fresh, err := agent.NewCertificates(now)
	if err != nil {
		t.Fatal(err)
	}
	other, err := agent.NewCertificates(now)
	if err != nil {
		t.Fatal(err)
	}
	mixed, foreign, swapped := fresh, fresh, fresh
	mixed.ServerKey = other.ServerKey
	foreign.ClientCert, foreign.ClientKey = other.ClientCert, other.ClientKey
	swapped.ServerCert, swapped.ServerKey = fresh.ClientCert, fresh.ClientKey
	for name, c := range map[string]struct {
		certificates agent.Certificates
		at           time.Time
		due          bool
	}{
		"new":                         {fresh, now, false},
		"a little over a year to go":  {fresh, now.Add(364 * day), false},
		"less than a year to go":      {fresh, now.Add(366 * day), true},
		"ended":                       {fresh, now.Add(731 * day), true},
		"none":                        {agent.Certificates{}, now, true},
		"a key of another start":      {mixed, now, true},
		"a client of another CA":      {foreign, now, true},
		"a client's for the server's": {swapped, now, true},
		"made by a clock ahead":       {fresh, now.Add(-2 * time.Hour), true},
	} {
		if err := c.certificates.Due(c.at); (err != nil) != c.due {
			t.Errorf("%s: %v, want due: %v", name, err, c.due)
		}
	}
}

// The client's certificate proves a client and nothing else: neither an agent nor a CA.
func TestTheClientIsNoServer(t *testing.T) {
	c, err := agent.NewCertificates(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(c.ClientCert), []byte(c.ClientKey))
	if err != nil {
		t.Fatal(err)
	}
	if leaf := pair.Leaf; leaf.IsCA || len(leaf.DNSNames)+len(leaf.IPAddresses)+len(leaf.URIs) > 0 || len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Errorf("the client's certificate is good for more: %v %v %v %v", leaf.IsCA, leaf.DNSNames, leaf.IPAddresses, leaf.ExtKeyUsage)
	}
}
