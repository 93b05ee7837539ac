package cluster_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
)

// Passwords of the mail server, one after the other.
const firstPassword, secondPassword = "the mail server's first password", "the mail server's second password"

// An operator gives Auth a mail server with a password: mail goes there over TLS from a task's
// root, as that user. A second password takes effect without a roll, and what waited meanwhile is
// sent. Without a mail server everything is as before.
func TestMail(t *testing.T) {
	c := running(t)
	c.explains(t)
	server := startMailServer(t, filepath.Join(c.programs(), "mail-ca.pem"))
	l := c.visit(t)
	administrator := c.administrator(t, l)
	trial := func(to string) (string, error) {
		cmd := c.command(t, filepath.Join(c.root, ".bin", "gatehouse"), "mail", "test", to)
		cmd.Env = append(cmd.Env, c.as(administrator)...)
		return output(cmd)
	}
	if said, err := trial("ada@example.com"); err == nil || !strings.Contains(said, "MAIL_NOT_CONFIGURED") {
		t.Errorf("without a mail server: %v\n%s", err, said)
	}
	before := map[string]string{}
	for _, name := range []string{"GATEHOUSE_AUTH_SIGN_UP", "GATEHOUSE_GATEWAY_TRUSTED_PROXIES", "GATEHOUSE_TOKEN_ISSUER"} {
		before[name] = c.environment(t, name)
	}
	t.Cleanup(func() {
		c.setMailPassword(t, "")
		c.deployed(t, "auth", c.submit(t, "auth"), nomad.DeploymentStatusSuccessful)
		c.gone(t, "auth", 3)
	})
	c.setMailPassword(t, firstPassword)
	pairs := fmt.Sprintf("GATEHOUSE_MAIL_SMTP_URL = %q, GATEHOUSE_MAIL_SMTP_USER = %q, GATEHOUSE_MAIL_SMTP_CA_FILE = %q, GATEHOUSE_MAIL_FROM = %q",
		"smtp://"+server.address, "gatehouse", ours+"/mail-ca.pem", "Gatehouse <no-reply@example.com>")
	for name, value := range before {
		pairs += fmt.Sprintf(", %s = %q", name, value)
	}
	version := c.submit(t, "auth", "-var", "environment={ "+pairs+" }")
	c.deployed(t, "auth", version, nomad.DeploymentStatusSuccessful)
	c.gone(t, "auth", 3)
	if said, err := trial("ada@example.com"); err != nil || !strings.Contains(said, "accepted by the mail server") {
		t.Fatalf("mail test: %v\n%s", err, said)
	}
	status, body := l.ask(http.MethodPost, "/api/v1/auth/sign-up", "", fmt.Sprintf(`{"email": "grace@example.com", "password": %q, "display_name": "Grace"}`, password))
	if status != http.StatusAccepted || body != "{}" {
		t.Errorf("signing up: %d %s", status, body)
	}
	check.Within(t, time.Minute, "both mails arrive", func() error { return errors.Join(server.has("ada@example.com"), server.has("grace@example.com")) })
	server.want(secondPassword)
	if said, err := trial("ada2@example.com"); err == nil || !strings.Contains(said, "not sent yet") || !strings.Contains(said, "535") {
		t.Errorf("with the password of before: %v\n%s", err, said)
	}
	c.setMailPassword(t, secondPassword)
	check.Within(t, 3*time.Minute, "the mail that waited goes with the second password", func() error { return server.has("ada2@example.com") })
	if now := c.version(t, "auth"); now != version {
		t.Errorf("version %d of Auth runs, %d did", now, version)
	}
	c.namesAreLookedUp(t)
}

// namesAreLookedUp looks for how a task finds hosts by their names: as its host does.
func (c *cluster) namesAreLookedUp(t *testing.T) {
	t.Helper()
	for _, a := range c.allocations(t, c.nomad(t), "auth") {
		text := c.says(t, "nomad", "alloc", "fs", a.ID, "serve/resolv.conf")
		if !strings.Contains(text, "nameserver ") || strings.Contains(text, "nameserver 127.0.0.53") {
			t.Errorf("%s: /etc/resolv.conf is %q", a.NodeName, text)
		}
	}
}

// environment is a variable of what serves in Auth's job.
func (c *cluster) environment(t *testing.T, name string) string {
	t.Helper()
	job, _, err := c.nomad(t).Jobs().Info("auth", nil)
	check.NoError(t, err)
	for _, task := range job.TaskGroups[0].Tasks {
		if task.Name == "serve" {
			return task.Env[name]
		}
	}
	t.Fatal("nothing serves")
	return ""
}

// setMailPassword gives Auth a password, as docs/operations/mail.md says, or takes it away.
func (c *cluster) setMailPassword(t *testing.T, to string) {
	t.Helper()
	const change = `nomad var get -out json nomad/jobs/auth/auth/serve | nomad var put -in json - GATEHOUSE_MAIL_SMTP_PASSWORD=@"$1"`
	const remove = `nomad var get -out json nomad/jobs/auth/auth/serve | jq 'del(.Items.GATEHOUSE_MAIL_SMTP_PASSWORD)' | nomad var put -in json -`
	script, file := remove, filepath.Join(t.TempDir(), "password")
	if to != "" {
		script = change
		check.NoError(t, os.WriteFile(file, []byte(to+"\n"), 0o600))
	}
	c.says(t, "bash", "-euo", "pipefail", "-c", script, "bash", file)
}

// mailServer takes mails of whoever has its password, over TLS.
type mailServer struct {
	address string

	mu       sync.Mutex
	password string
	taken    []string // recipients
}

// startMailServer starts one where the hosts reach it, and writes the certificate of its authority
// into a file.
func startMailServer(t *testing.T, ca string) *mailServer {
	t.Helper()
	listener, authority := listen(t), tlstest.New(t)
	at, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(listener.Addr())
	}
	check.NoError(t, os.WriteFile(ca, authority.PEM, 0o644)) // for the tasks' user
	t.Cleanup(func() { _ = os.Remove(ca) })
	m := &mailServer{address: net.JoinHostPort(at.IP.String(), strconv.Itoa(at.Port)), password: firstPassword}
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &delivery{server: m}, nil }))
	server.Domain = "mail.example.com"
	server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{authority.Server(t, at.IP)}}
	go func() { _ = server.Serve(listener) }() // an error is its end
	t.Cleanup(func() { _ = server.Close() })
	return m
}

// want changes the password.
func (m *mailServer) want(password string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.password = password
}

// has is an error until a mail to that address has been taken.
func (m *mailServer) has(address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.taken {
		if one == address {
			return nil
		}
	}
	return fmt.Errorf("no mail to %s, but to %v", address, m.taken)
}

// delivery is one connection.
type delivery struct {
	server *mailServer
	let    bool
	to     string
}

func (*delivery) Reset() {}

func (*delivery) Logout() error { return nil }

func (*delivery) AuthMechanisms() []string { return []string{sasl.Plain} }

func (d *delivery) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		d.server.mu.Lock()
		defer d.server.mu.Unlock()
		if d.let = user == "gatehouse" && password == d.server.password; !d.let {
			return gosmtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (d *delivery) Mail(string, *gosmtp.MailOptions) error {
	if !d.let {
		return gosmtp.ErrAuthRequired
	}
	return nil
}

func (d *delivery) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil || len(text) == 0 {
		return errors.New("no mail")
	}
	d.server.mu.Lock()
	defer d.server.mu.Unlock()
	d.server.taken = append(d.server.taken, d.to)
	return nil
}
