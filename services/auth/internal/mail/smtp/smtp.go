// Package smtp delivers mails by SMTP (RFC 5321): over TLS, or to this machine.
//
// Only the wiring of Auth imports it; it is apart from package mail so that the domain packages,
// which write mails, do without its library.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Security is how a connection is protected.
type Security int

// The ways to protect a connection.
const (
	StartTLS Security = iota // required after the greeting (RFC 3207)
	Implicit                 // from the first byte (RFC 8314, section 3)
	Clear                    // not at all: for a server on this machine
)

// Config says where mails go.
type Config struct {
	Host     string
	Port     int
	Security Security
	TLS      *tls.Config            // with the server's name
	User     string                 // "" signs in nowhere
	Password func() (string, error) // of that user, asked for each mail: it may be replaced meanwhile
	From     string                 // an address, which may have a name before it (RFC 5322, section 3.4)
	Domain   string                 // of that address
}

// Sender delivers each mail over a connection of its own.
type Sender struct{ config Config }

// New returns a sender; it connects to nothing.
func New(c Config) *Sender { return &Sender{config: c} }

// unbounded is what the library has for a bound: that of an attempt is its context.
const unbounded = time.Hour

// Send implements mail.Sender; the context bounds it. What a server refuses with 5xx before it was
// offered the mail, such as our password, is not for good: every mail would be lost with it.
func (s *Sender) Send(ctx context.Context, e mail.Envelope, l mail.Letter) error {
	m, err := s.message(e, l)
	if err != nil {
		return err
	}
	client, conns, err := s.client()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, conns.close) // the library watches ctx while it connects only
	defer stop()
	defer conns.close()
	server, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to the mail server: %w", err)
	}
	err = client.SendWithSMTPClient(server, m)
	if m.IsDelivered() { // whatever failed after the 250
		_ = client.CloseWithSMTPClient(server)
		return nil
	}
	return refusedBy(err)
}

// refusedBy is an error of the library without the addresses that it and servers repeat.
func refusedBy(err error) error {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return errors.New("the connection to the mail server broke")
	}
	stage := stageOf(failed.Reason)
	if code := failed.ErrorCode(); code >= 500 && code < 600 {
		return &mail.Refused{Code: code, Enhanced: failed.EnhancedStatusCode(), Stage: stage}
	} else if code > 0 {
		return fmt.Errorf("the mail server answers %d %s to %s", code, failed.EnhancedStatusCode(), stage)
	}
	return fmt.Errorf("the connection to the mail server broke at %s", stage)
}

func stageOf(r gomail.SendErrReason) string {
	switch r {
	case gomail.ErrSMTPMailFrom:
		return "MAIL FROM"
	case gomail.ErrSMTPRcptTo:
		return "RCPT TO"
	case gomail.ErrSMTPData:
		return "DATA"
	case gomail.ErrSMTPDataClose, gomail.ErrWriteContent:
		return "the end of DATA"
	default:
		return "the mail"
	}
}

// message is the letter as it is sent: the same in every attempt, and without anything of this
// host.
func (s *Sender) message(e mail.Envelope, l mail.Letter) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("b-"+e.ID))
	if err := m.From(s.config.From); err != nil {
		return nil, errors.New("the sender's address is none")
	}
	if err := m.To(l.To); err != nil {
		return nil, &mail.Refused{Code: 553, Stage: "an address that is none"}
	}
	m.SetMessageIDWithValue(e.ID + "@" + s.config.Domain)
	m.SetDateWithValue(e.CreateTime.UTC())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation answers
	m.SetGenHeader("Content-Language", l.Language)
	m.Subject(l.Subject)
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	return m, nil
}

// client is one of the library for one mail, and the connection that it will make.
func (s *Sender) client() (*gomail.Client, *connection, error) {
	c := s.config
	made := &connection{}
	options := []gomail.Option{
		gomail.WithPort(c.Port), gomail.WithTimeout(unbounded), gomail.WithHELO(c.Domain), gomail.WithTLSConfig(c.TLS),
		gomail.WithoutNoop(), gomail.WithoutRset(), gomail.WithoutSMTPUTF8(),
	}
	switch c.Security {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case Implicit, Clear: // dial has secured the connection, or nothing does
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if c.User != "" {
		password, err := c.Password()
		if err != nil {
			return nil, nil, fmt.Errorf("the password of the mail server: %w", err)
		}
		// Its own choice takes a connection that it did not secure itself for a clear one.
		options = append(options, gomail.WithUsername(c.User), gomail.WithPassword(password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	options = append(options, gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
		return made.dial(ctx, network, address, c)
	}))
	client, err := gomail.NewClient(c.Host, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("set up the mail client: %w", err)
	}
	return client, made, nil
}

// Domain returns the domain of an address, which may have a name before it.
func Domain(address string) string {
	address = strings.TrimSuffix(strings.TrimSpace(address), ">")
	return address[strings.LastIndexByte(address, '@')+1:]
}
