package smtp_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
)

func envelope() mail.Envelope {
	return mail.Envelope{ID: "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10", CreateTime: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
}

func letter() mail.Letter {
	return mail.Letter{To: "ada@example.com", Language: "de", Subject: "Ihr Passwort wurde geändert", Text: "Guten Tag\n", HTML: "<p>Guten Tag</p>\n"}
}

// A mail arrives over each kind of connection, as the user that is configured.
func TestSendDelivers(t *testing.T) {
	for name, security := range map[string]smtp.Security{"STARTTLS": smtp.StartTLS, "TLS from the start": smtp.Implicit, "this machine": smtp.Clear} {
		t.Run(name, func(t *testing.T) {
			server := (&mailtest.Server{}).Start(t, "", security)
			config := server.Config(t, security)
			config.User, config.Password = mailtest.User, func() (string, error) { return mailtest.Password, nil }
			if err := smtp.New(config).Send(t.Context(), envelope(), letter()); err != nil {
				t.Fatal(err)
			}
			taken := server.Taken()
			if len(taken) != 1 {
				t.Fatalf("%d mails arrived", len(taken))
			}
			header := mailtest.Parse(t, taken[0]).Header
			for field, want := range map[string]string{
				"Message-Id": "<0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10@gate.example>", "To": "<ada@example.com>", "Date": "Sun, 29 Nov 2026 12:00:00 +0000",
				"From": `"Gatehouse" <no-reply@gate.example>`, "Auto-Submitted": "auto-generated", "Content-Language": "de",
				"User-Agent": "", "X-Mailer": "",
			} {
				if got := header.Get(field); got != want {
					t.Errorf("%s: %q, want %q", field, got, want)
				}
			}
			if host, err := os.Hostname(); err != nil || strings.Contains(taken[0], host) {
				t.Errorf("the mail names this host (%v):\n%s", err, taken[0])
			}
		})
	}
}

// The same mail is the same bytes in each attempt: whoever gets it twice can tell.
func TestAnAttemptIsRepeatedByteByByte(t *testing.T) {
	server := (&mailtest.Server{}).Start(t, "", smtp.StartTLS)
	for range 2 {
		if err := smtp.New(server.Config(t, smtp.StartTLS)).Send(t.Context(), envelope(), letter()); err != nil {
			t.Fatal(err)
		}
	}
	if taken := server.Taken(); len(taken) != 2 || taken[0] != taken[1] {
		t.Errorf("taken: %q", taken)
	}
}

// Nothing is sent in clear to a server that offers no TLS, nor to one that proves to be another.
func TestSendNeedsTLS(t *testing.T) {
	for name, c := range map[string]struct{ server, client smtp.Security }{
		"no STARTTLS": {smtp.Clear, smtp.StartTLS}, "no TLS": {smtp.Clear, smtp.Implicit},
		"STARTTLS of another": {smtp.StartTLS, smtp.StartTLS}, "TLS of another": {smtp.Implicit, smtp.Implicit},
	} {
		t.Run(name, func(t *testing.T) {
			server := (&mailtest.Server{}).Start(t, "", c.server)
			config := server.Config(t, c.client)
			if c.server != smtp.Clear {
				config.TLS.RootCAs = x509.NewCertPool()
			}
			err := smtp.New(config).Send(t.Context(), envelope(), letter())
			var refused *mail.Refused
			if err == nil || errors.As(err, &refused) || len(server.Taken()) != 0 {
				t.Errorf("Send = %v, %d mails arrived", err, len(server.Taken()))
			}
		})
	}
}

// What a server refuses for good is told from what may be over later, and no error names the
// address, which servers repeat.
func TestRefusalsAreToldApart(t *testing.T) {
	text := "<ada@example.com> is unknown here"
	for name, c := range map[string]struct {
		server *mailtest.Server
		user   string
		want   string
		good   bool // it may be over later
	}{
		"recipient, for good": {server: &mailtest.Server{Accept: func(string) error { return mailtest.Refusal(550, text) }}, want: "550 5.1.1 to RCPT TO"},
		"recipient, for now":  {server: &mailtest.Server{Accept: func(string) error { return mailtest.Refusal(450, text) }}, want: "450 4.1.1 to RCPT TO", good: true},
		"mail, for good":      {server: &mailtest.Server{Answer: func(int) error { return mailtest.Refusal(554, text) }}, want: "554 5.1.1 to the end of DATA"},
		"mail, for now":       {server: &mailtest.Server{Answer: func(int) error { return mailtest.Refusal(451, text) }}, want: "451 4.1.1 to the end of DATA", good: true},
		"our password":        {server: &mailtest.Server{}, user: "nobody", want: "535", good: true},
	} {
		t.Run(name, func(t *testing.T) {
			c.server.Start(t, "", smtp.StartTLS)
			config := c.server.Config(t, smtp.StartTLS)
			if c.user != "" {
				config.User, config.Password = c.user, func() (string, error) { return "a secret of ours", nil }
			}
			err := smtp.New(config).Send(t.Context(), envelope(), letter())
			var refused *mail.Refused
			if err == nil || errors.As(err, &refused) == c.good || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Send = %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "ada") || strings.Contains(err.Error(), "secret of ours")) {
				t.Errorf("%v tells too much", err)
			}
		})
	}
}

// Line breaks in what becomes a header field add none: an address with one is none, a subject with
// one is encoded.
func TestLineBreaksAddNoHeader(t *testing.T) {
	server := (&mailtest.Server{}).Start(t, "", smtp.StartTLS)
	sender := smtp.New(server.Config(t, smtp.StartTLS))
	for _, to := range []string{"ada@example.com\r\nBcc: eve@example.com", "ada@example.com\nRCPT TO:<eve@example.com>", "ada@example.com, eve@example.com"} {
		l := letter()
		l.To = to
		if err := sender.Send(t.Context(), envelope(), l); err == nil {
			t.Errorf("sent to %q", to)
		}
	}
	for _, broken := range []string{"a\r\nBcc: eve@example.com", "a\nX-Eve: 1", "a\rX-Eve: 1", "a\r\n\r\nbody"} {
		l := letter()
		l.Subject, l.Language = broken, broken
		if err := sender.Send(t.Context(), envelope(), l); err != nil {
			continue // refused is as good
		}
		taken := server.Taken()
		header := mailtest.Parse(t, taken[len(taken)-1]).Header
		if header.Get("Bcc") != "" || header.Get("X-Eve") != "" || header.Get("Content-Type") == "" {
			t.Errorf("%q adds a field:\n%s", broken, taken[len(taken)-1])
		}
	}
}

// A server that takes the connection and says nothing holds up nobody beyond the context.
func TestASilentServerIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for _, security := range []smtp.Security{smtp.StartTLS, smtp.Implicit, smtp.Clear} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if security != smtp.Implicit {
				_, _ = conn.Write([]byte("220 mail.example.com\r\n"))
			}
			_, _ = conn.Read(make([]byte, 1<<10)) // EHLO, or the beginning of TLS, to which nobody answers
			cancel()
			_, _ = conn.Read(make([]byte, 1<<10)) // until the other end is gone
		}()
		if err := smtp.New(mailtest.ConfigFor(t, listener.Addr().String(), nil, security)).Send(ctx, envelope(), letter()); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Send = %v, want that the context ended it", err)
		}
	}
}
