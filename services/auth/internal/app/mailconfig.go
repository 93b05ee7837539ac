package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"os"
	"strconv"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
)

// MailConfig is the option group of mail.
type MailConfig struct {
	SMTP     string        `name:"mail-smtp-url" env:"GATEHOUSE_MAIL_SMTP_URL" placeholder:"URL" help:"Mail server: smtp://HOST[:587] with STARTTLS, or smtps://HOST[:465] with TLS from the start. Only smtp to this machine is not encrypted. Without one no mail is sent."`
	User     string        `name:"mail-smtp-user" env:"GATEHOUSE_MAIL_SMTP_USER" placeholder:"NAME" help:"Whom to sign in as at the mail server; nobody when empty."`
	Password config.Secret `name:"mail-smtp-password" env:"GATEHOUSE_MAIL_SMTP_PASSWORD" placeholder:"SECRET" help:"Password of that user. Prefer the _FILE variable: a command line is public."`
	CAFile   string        `name:"mail-smtp-ca-file" env:"GATEHOUSE_MAIL_SMTP_CA_FILE" placeholder:"PATH" help:"Certificates, in PEM, that the mail server's must lead to, instead of those of this machine."`
	From     string        `name:"mail-from" env:"GATEHOUSE_MAIL_FROM" placeholder:"ADDRESS" help:"Sender of all mail, such as 'Example <no-reply@example.com>'; needed with a mail server."`
	Mailbox  bool          `name:"mail-mailbox" env:"GATEHOUSE_MAIL_MAILBOX" help:"Keep mails in memory instead of sending them, for development: every local process can read them. Refused beside a mail server, and where the issuer is not on this machine."`
}

// Validate reports contradictions.
func (c MailConfig) Validate() error {
	if c.Mailbox && c.SMTP != "" {
		return errors.New("GATEHOUSE_MAIL_MAILBOX and GATEHOUSE_MAIL_SMTP_URL are both set: the mailbox is for development, so unset one of them")
	}
	if c.From != "" {
		if _, err := netmail.ParseAddress(c.From); err != nil {
			return fmt.Errorf("GATEHOUSE_MAIL_FROM is %q: write an address such as no-reply@example.com, or Name <no-reply@example.com>", c.From)
		}
	}
	if c.SMTP == "" {
		if c.User != "" || !c.Password.IsZero() || c.CAFile != "" {
			return errors.New("GATEHOUSE_MAIL_SMTP_USER, _PASSWORD or _CA_FILE is set without GATEHOUSE_MAIL_SMTP_URL: name the mail server, or unset them")
		}
		return nil
	}
	switch {
	case c.From == "":
		return errors.New("GATEHOUSE_MAIL_SMTP_URL is set without GATEHOUSE_MAIL_FROM: set it to the address that mails come from")
	case (c.User == "") != c.Password.IsZero():
		return errors.New("GATEHOUSE_MAIL_SMTP_USER and GATEHOUSE_MAIL_SMTP_PASSWORD belong together: set both or none")
	}
	_, err := c.server()
	return err
}

// errMailServer is the rule of the URL.
var errMailServer = errors.New("GATEHOUSE_MAIL_SMTP_URL is not a mail server: write smtp://HOST[:PORT] or smtps://HOST[:PORT], without a user or a path")

// server is where mails go, without what is read of files.
func (c MailConfig) server() (smtp.Config, error) {
	u, err := url.Parse(c.SMTP)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return smtp.Config{}, errMailServer // and not the parser's error, which repeats it: people write passwords into URLs
	}
	s := smtp.Config{Host: u.Hostname(), User: c.User, From: c.From, Domain: smtp.Domain(c.From)}
	switch u.Scheme {
	case "smtps":
		s.Port, s.Security = 465, smtp.Implicit
	case "smtp":
		s.Port, s.Security = 587, smtp.StartTLS
		if onThisMachine(s.Host) {
			s.Security = smtp.Clear
		}
	default:
		return smtp.Config{}, errMailServer
	}
	if text := u.Port(); text != "" {
		if s.Port, err = strconv.Atoi(text); err != nil || s.Port < 1 || s.Port > 65535 {
			return smtp.Config{}, errMailServer
		}
	}
	return s, nil
}

// sender is what delivers by the configured server.
func (c MailConfig) sender() (*smtp.Sender, error) {
	s, err := c.server()
	if err != nil {
		return nil, err
	}
	s.Password = c.currentPassword
	s.TLS = &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("GATEHOUSE_MAIL_SMTP_CA_FILE: %w", err)
		}
		s.TLS.RootCAs = x509.NewCertPool()
		if !s.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("GATEHOUSE_MAIL_SMTP_CA_FILE: %s holds no certificate in PEM", c.CAFile)
		}
	}
	return smtp.New(s), nil
}

// currentPassword is the password as its file has it now: whoever replaces it rolls nothing.
func (c MailConfig) currentPassword() (string, error) {
	now, err := c.Password.Again()
	return now.Reveal(), err
}

// onThisMachine reports whether a host is this machine, or this network namespace.
func onThisMachine(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback()
	}
	return host == "localhost"
}

// validateMailbox refuses a mailbox where others than this machine's developer sign in.
func (c Config) validateMailbox() error {
	if !c.Mail.Mailbox {
		return nil
	}
	issuer, err := url.Parse(c.Kernel.Token.Issuer)
	if err != nil || !onThisMachine(issuer.Hostname()) {
		return fmt.Errorf("GATEHOUSE_MAIL_MAILBOX is set, and GATEHOUSE_TOKEN_ISSUER (%s) is not on this machine: whoever reads the mailbox can take over accounts, so unset it", c.Kernel.Token.Issuer)
	}
	return nil
}
