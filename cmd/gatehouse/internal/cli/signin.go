package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/config"
)

// signInFlags say which gateway is asked, and who asks.
type signInFlags struct {
	stateFlag `embed:""`
	URL       string        `help:"Gateway that is asked; that of the running platform when empty. gatehouse env prints it." env:"GATEHOUSE_URL" placeholder:"URL"`
	Token     config.Secret `help:"Access token, instead of signing in. Prefer the variable: a command line is public." env:"GATEHOUSE_CLI_TOKEN" placeholder:"TOKEN"`
	Email     string        `help:"User as whom the command signs in instead of giving a token; the password is asked for." env:"GATEHOUSE_CLI_EMAIL" placeholder:"ADDRESS"`
	Password  config.Secret `help:"Password of that user, where nobody can be asked. Prefer the variable." env:"GATEHOUSE_CLI_PASSWORD" placeholder:"PASSWORD"`
}

// session runs work with a client that has a token, and ends the session that it began for that.
func (c *signInFlags) session(ctx context.Context, console *Console, work func(*rest.Client) error) error {
	client, err := c.client(console)
	if err != nil || c.Email == "" {
		if err == nil {
			err = work(client)
		}
		return err
	}
	password, err := c.password(console)
	if err != nil {
		return err
	}
	client.Code = func() (string, error) { return c.code(console) }
	if err := client.SignIn(ctx, c.Email, password); err != nil {
		return err
	}
	err = work(client)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, client.SignOut(last))
}

func (c *signInFlags) client(console *Console) (*rest.Client, error) {
	switch {
	case c.Token.IsZero() && c.Email == "":
		return nil, errors.New("this is not for everybody: give an access token in GATEHOUSE_CLI_TOKEN_FILE, or sign in with --email")
	case !c.Token.IsZero() && c.Email != "":
		return nil, errors.New("an access token and --email are both given: keep one")
	}
	address := c.URL
	if address == "" {
		_, record, err := c.running()
		if err != nil {
			return nil, fmt.Errorf("%w; or name the gateway with --url", err)
		}
		address = record.Gateway
	}
	if inClear(address) {
		return nil, fmt.Errorf("the gateway %s is not on this machine and would be told a credential in clear: give its https:// address with --url", address)
	}
	return &rest.Client{
		URL: address, Token: c.Token.Reveal(),
		// Somebody else is not told the password: the gateway redirects nowhere.
		HTTP: &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// inClear reports whether whoever is on the way to the address could read what it is told.
func inClear(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return false // the client refuses what is not an address
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// password asks for the password on a terminal, without showing it.
func (c *signInFlags) password(console *Console) (string, error) {
	if !c.Password.IsZero() {
		return c.Password.Reveal(), nil
	}
	typed, err := ask(console, "password of "+c.Email)
	if errors.Is(err, errNobody) {
		return "", errors.New("there is no terminal to ask for the password: give it in GATEHOUSE_CLI_PASSWORD_FILE")
	}
	return typed, err
}

// code asks for a code of the second factor.
func (c *signInFlags) code(console *Console) (string, error) {
	typed, err := ask(console, "code of the authenticator app, or a recovery code")
	if errors.Is(err, errNobody) {
		return "", errors.New("there is no terminal to ask for the code of the second factor: give an access token in GATEHOUSE_CLI_TOKEN_FILE instead")
	}
	return strings.ReplaceAll(strings.TrimSpace(typed), " ", ""), err
}

// errNobody is that nobody can be asked.
var errNobody = errors.New("there is no terminal")

// ask asks for a secret on a terminal, without showing it.
func ask(console *Console, what string) (string, error) {
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		return "", errNobody
	}
	fmt.Fprintf(console.Err, "%s: ", what)
	typed, err := term.ReadPassword(terminal)
	fmt.Fprintln(console.Err)
	if err != nil {
		return "", fmt.Errorf("read the %s: %w", what, err)
	}
	return string(typed), nil
}
