package app

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

func TestConfigurationOfMailIsRefusedWithAMend(t *testing.T) {
	const server, from = "GATEHOUSE_MAIL_SMTP_URL=smtp://mail.example.com", "GATEHOUSE_MAIL_FROM=no-reply@example.com"
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"a sender is missing":             {[]string{server}, "GATEHOUSE_MAIL_FROM"},
		"a sender that is none":           {[]string{server, "GATEHOUSE_MAIL_FROM=nobody"}, "GATEHOUSE_MAIL_FROM"},
		"a sender with a line break":      {[]string{server, "GATEHOUSE_MAIL_FROM=a@example.com\nBcc: b@example.com"}, "GATEHOUSE_MAIL_FROM"},
		"no mail server's scheme":         {[]string{"GATEHOUSE_MAIL_SMTP_URL=https://mail.example.com", from}, "smtps://HOST"},
		"no host":                         {[]string{"GATEHOUSE_MAIL_SMTP_URL=smtp:mail.example.com", from}, "smtps://HOST"},
		"a password in the URL":           {[]string{"GATEHOUSE_MAIL_SMTP_URL=smtp://u:sesame@mail.example.com", from}, "without a user"},
		"a port that is none":             {[]string{server + ":0", from}, "smtps://HOST"},
		"a user without a password":       {[]string{server, from, "GATEHOUSE_MAIL_SMTP_USER=ada"}, "GATEHOUSE_MAIL_SMTP_PASSWORD"},
		"a password without a server":     {[]string{"GATEHOUSE_MAIL_SMTP_PASSWORD=sesame"}, "GATEHOUSE_MAIL_SMTP_URL"},
		"a mailbox beside a server":       {[]string{server, from, "GATEHOUSE_MAIL_MAILBOX=true", "GATEHOUSE_TOKEN_ISSUER=http://localhost:8080"}, "unset one"},
		"a mailbox, and others sign in":   {[]string{"GATEHOUSE_MAIL_MAILBOX=true", "GATEHOUSE_TOKEN_ISSUER=https://id.example.com"}, "GATEHOUSE_TOKEN_ISSUER"},
		"a mailbox, and a name like ours": {[]string{"GATEHOUSE_MAIL_MAILBOX=true", "GATEHOUSE_TOKEN_ISSUER=https://localhost.example.com"}, "GATEHOUSE_TOKEN_ISSUER"},
	} {
		_, err := parse(t, append(c.environ, "GATEHOUSE_AUTH_KEY_FILE="+keyFile(t, 1), "GATEHOUSE_POSTGRES_URL=postgres://auth:x@127.0.0.1:5432/gatehouse",
			"GATEHOUSE_MESH_TRUST_DOMAIN=11111111-2222-3333-4444-555555555555.consul")...)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TLS is needed, but to this machine.
func TestMailServers(t *testing.T) {
	for text, want := range map[string]smtp.Config{
		"smtp://mail.example.com":       {Host: "mail.example.com", Port: 587, Security: smtp.StartTLS},
		"smtp://mail.example.com:25":    {Host: "mail.example.com", Port: 25, Security: smtp.StartTLS},
		"smtps://mail.example.com":      {Host: "mail.example.com", Port: 465, Security: smtp.Implicit},
		"smtp://127.0.0.1:2525":         {Host: "127.0.0.1", Port: 2525, Security: smtp.Clear},
		"smtp://[::1]:2525":             {Host: "::1", Port: 2525, Security: smtp.Clear},
		"smtps://localhost":             {Host: "localhost", Port: 465, Security: smtp.Implicit},
		"smtp://localhost.example.com":  {Host: "localhost.example.com", Port: 587, Security: smtp.StartTLS},
		"smtp://127.0.0.1.example.com/": {Host: "127.0.0.1.example.com", Port: 587, Security: smtp.StartTLS},
	} {
		got, err := MailConfig{SMTP: text, From: "Gatehouse <no-reply@gate.example>"}.server()
		want.From, want.Domain = "Gatehouse <no-reply@gate.example>", "gate.example"
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// The password of the mail server is read again for each mail: who replaces it rolls nothing, and
// mails wait meanwhile.
func TestThePasswordOfTheMailServerIsReadAgain(t *testing.T) {
	server := (&mailtest.Server{}).Start(t, "", smtp.Clear)
	file := filepath.Join(t.TempDir(), "mail-smtp.password")
	write := func(text string) { check.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("the one of before\n")
	cli, err := parse(t, "GATEHOUSE_MAIL_SMTP_URL=smtp://"+server.Address, "GATEHOUSE_MAIL_FROM=no-reply@gate.example", "GATEHOUSE_MAIL_SMTP_USER="+mailtest.User,
		"GATEHOUSE_MAIL_SMTP_PASSWORD_FILE="+file, "GATEHOUSE_AUTH_KEY_FILE="+keyFile(t, 1), "GATEHOUSE_POSTGRES_URL=postgres://auth:x@127.0.0.1:5432/gatehouse",
		"GATEHOUSE_MESH_TRUST_DOMAIN=11111111-2222-3333-4444-555555555555.consul")
	check.NoError(t, err)
	sender, err := cli.Mail.sender()
	check.NoError(t, err)
	send := func() error {
		return sender.Send(t.Context(), mail.Envelope{ID: "an-id", CreateTime: time.Now()}, mail.Letter{To: "ada@example.com", Subject: "-", Text: "-", HTML: "-"})
	}
	if err := send(); err == nil || !strings.Contains(err.Error(), "535") {
		t.Errorf("with the password of before: %v", err)
	}
	write(mailtest.Password + "\n")
	check.NoError(t, send())
	check.NoError(t, os.Remove(file))
	if err := send(); err == nil || !strings.Contains(err.Error(), "the password of the mail server: read a secret again") {
		t.Errorf("without the file: %v", err)
	}
	if n := len(server.Taken()); n != 1 {
		t.Errorf("%d mails arrived", n)
	}
}

// A program that is told of a mail server delivers what was queued, and measures it.
func TestStartDeliversMails(t *testing.T) {
	db, key, ports := database(t), keyFile(t, 1), apptest.FreePorts(t, Name)
	server := (&mailtest.Server{}).Start(t, "", smtp.Clear)
	stop := start(t, configured(t, ports, db, key, "GATEHOUSE_MAIL_SMTP_URL=smtp://"+server.Address, "GATEHOUSE_MAIL_FROM=no-reply@gate.example"))
	defer stop()
	queueNotice(t, db, key)
	check.Eventually(t, "the mail arrives", func() bool { return len(server.Taken()) == 1 })
	check.Eventually(t, "it is counted", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/metrics", http.StatusOK), `gatehouse_mail_total{outcome="sent"} 1`)
	})
	if metrics := apptest.Get(t, ports.Ops, "/metrics", http.StatusOK); !strings.Contains(metrics, "gatehouse_mail_oldest_seconds 0") {
		t.Error("the age of the oldest mail is not measured")
	}
}

// queueNotice queues what a change of a password does.
func queueNotice(t *testing.T, db pg.Config, key string) {
	t.Helper()
	sealing, err := signingkey.OpenSealer(key, "")
	check.NoError(t, err)
	sealer, err := mailSealer(sealing, func() bool { return false })
	check.NoError(t, err)
	desk, err := mail.NewDesk("http://localhost:8080", sealer, time.Now, nil)
	check.NoError(t, err)
	check.NoError(t, pgx.BeginFunc(t.Context(), pgtest.Open(t, db), func(tx pgx.Tx) error {
		return postgres.NewMails(nil, nil).Queue(t.Context(), tx, desk.PasswordChanged(t.Context(), "ada@example.com", ""))
	}))
}

// The mailbox of a developer is read on the ops listener, by who calls that by a name of loopback;
// without one there is nothing to read.
func TestTheMailboxIsReadOnTheOpsListener(t *testing.T) {
	db, key, ports := database(t), keyFile(t, 1), apptest.FreePorts(t, Name)
	stop := start(t, configured(t, ports, db, key))
	apptest.Get(t, ports.Ops, "/mailbox", http.StatusNotFound)
	stop()
	stop = start(t, configured(t, ports, db, key, "GATEHOUSE_MAIL_MAILBOX=true", "GATEHOUSE_TOKEN_ISSUER=http://localhost:8080"))
	defer stop()
	queueNotice(t, db, key)
	check.Eventually(t, "the mail is there", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/mailbox", http.StatusOK), `"to":"ada@example.com","language":"en","subject":"Your password was changed"`)
	})
}
