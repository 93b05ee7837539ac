package e2e_test

import (
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// inbox is an SMTP server that takes mails, in clear on loopback, and outlives the programs that
// are killed.
type inbox struct {
	address string

	mu    sync.Mutex
	away  bool                // every mail is refused for now
	taken map[string][]string // their texts, by recipient, as they came
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	box := &inbox{address: listener.Addr().String(), taken: map[string][]string{}}
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &delivery{box: box}, nil }))
	server.Domain = "mail.example.com"
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // an error is its end
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		_ = server.Close()
		<-done
	})
	return box
}

// leaves says whether every mail is refused for now.
func (b *inbox) leaves(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
}

// code is that in the only mail to an address.
func (b *inbox) code(to string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.taken[to]) != 1 {
		return "", fmt.Errorf("%d mails to %s, want one", len(b.taken[to]), to)
	}
	found := codeInLink.FindStringSubmatch(b.taken[to][0])
	if found == nil {
		return "", fmt.Errorf("no code in the mail to %s:\n%s", to, b.taken[to][0])
	}
	return found[1], nil
}

// delivery is one connection.
type delivery struct {
	box *inbox
	to  string
}

func (*delivery) Reset() {}

func (*delivery) Logout() error { return nil }

func (*delivery) Mail(string, *gosmtp.MailOptions) error { return nil }

func (d *delivery) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	d.to = to
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	if d.box.away {
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "try later"}
	}
	// Quoted-printable: long lines are cut, and "=" is written as "=3D".
	text := strings.NewReplacer("=\r\n", "", "=\n", "", "=3D", "=").Replace(string(body))
	d.box.taken[d.to] = append(d.box.taken[d.to], text)
	return nil
}
