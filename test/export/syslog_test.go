package export_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
)

// rsyslog is a server of a stranger: TLS with certificates on both sides, and the messages of the
// trail in a file.
const rsyslog = `
global(workDirectory="%[1]s" maxMessageSize="8k" defaultNetstreamDriver="gtls"
  defaultNetstreamDriverCAFile="%[1]s/ca.pem" defaultNetstreamDriverCertFile="%[1]s/cert.pem" defaultNetstreamDriverKeyFile="%[1]s/key.pem")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
template(name="line" type="string" string="%%structured-data%% %%msg%%\n")
ruleset(name="trail") { action(type="omfile" file="%[1]s/trail" template="line" asyncWriting="off" flushOnTXEnd="on") }
input(type="imtcp" address="127.0.0.1" port="%[2]s" ruleset="trail")
`

func TestSyslogAfterKills(t *testing.T) {
	syslogAfterKills(t, stand(t, numbered(events)), identified(events))
}

// syslogAfterKills pushes to rsyslog over TLS, and kills the push whenever its file is longer.
func syslogAfterKills(t *testing.T, w world, want trail) {
	rsyslogd, err := exec.LookPath("rsyslogd")
	if err != nil {
		if rsyslogd, err = exec.LookPath("/usr/sbin/rsyslogd"); err != nil {
			t.Fatal("rsyslogd was not found: apt-get install --no-install-recommends rsyslog rsyslog-gnutls")
		}
	}
	dir := t.TempDir()
	ca := tlstest.New(t)
	check.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), ca.PEM, 0o600))
	pair := ca.Server(t)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	check.NoError(t, err)
	check.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600))
	check.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	address := free(t)
	_, port, err := net.SplitHostPort(address)
	check.NoError(t, err)
	config := filepath.Join(dir, "rsyslog.conf")
	check.NoError(t, os.WriteFile(config, fmt.Appendf(nil, rsyslog, dir, port), 0o600))
	start(t, nil, rsyslogd, "-n", "-f", config, "-i", filepath.Join(dir, "pid"))
	answers(t, address)

	written := filepath.Join(dir, "trail")
	during, stop := longer(t, written)
	w.killed(t, kills, during, "--to", "syslog:"+address, "--ca", filepath.Join(dir, "ca.pem"), "--client-cert", filepath.Join(dir, "cert.pem"), "--client-key", filepath.Join(dir, "key.pem"),
		"--resume", filepath.Join(dir, "state"), "--once", "--batch", "10")
	stop()
	var got *arrived
	check.Within(t, time.Minute, "rsyslog has written what it has read", func() error {
		text, err := os.ReadFile(written)
		check.NoError(t, err)
		got = &arrived{}
		for line := range bytes.Lines(text) {
			at := bytes.IndexByte(line, '{')
			var e struct{ ID string }
			if at < 0 || !bytes.HasPrefix(line, []byte(`[meta sequenceId="`)) || json.Unmarshal(line[at:], &e) != nil {
				return fmt.Errorf("no whole message: %.200s", line)
			}
			got.add(e.ID)
		}
		if len(got.order) < want.least {
			return fmt.Errorf("%d of %d events", len(got.order), want.least)
		}
		return nil
	})
	got.whole(t, want, 1+kills)
}

// longer tells whenever a file has some lines more, a few times.
func longer(t *testing.T, path string) (<-chan struct{}, func()) {
	t.Helper()
	return watched(t, 70, func() int {
		text, _ := os.ReadFile(path) // not there yet is empty
		return bytes.Count(text, []byte("\n"))
	})
}
