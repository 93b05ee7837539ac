package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

// Answers reports whether a server answers queries at that address within a second.
func Answers(ctx context.Context, address config.Secret) bool { return Ask(ctx, address) == nil }

// Ask is Answers with the reason why it does not.
func Ask(ctx context.Context, address config.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	return conn.Ping(ctx)
}

// Refused reports whether a server answered that it will not let us in: waiting does not help.
func Refused(err error) bool {
	code := sqlState(err)
	return strings.HasPrefix(code, "28") || code == "3D000" // who, and which database
}

// accepted reports whether a server took the password, whatever it said then: that the role may not
// connect to this database, or has too many connections.
func accepted(err error) bool {
	code := sqlState(err)
	return err == nil || code == "42501" || code == "53300"
}

func sqlState(err error) string {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return ""
	}
	return answer.Code
}

// connectTimeout bounds each connection: an address behind a firewall that drops packets would take
// minutes.
const connectTimeout = 5 * time.Second

func connect(ctx context.Context, address config.Secret) (*pgx.Conn, error) {
	settings, err := pgurl.Parse(address)
	if err != nil {
		return nil, err
	}
	if settings.ConnectTimeout == 0 {
		settings.ConnectTimeout = connectTimeout
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	return conn, nil
}

func signIn(ctx context.Context, admin config.Secret, role Role) error {
	address, err := as(admin, role)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// as is a URL for another role.
func as(address config.Secret, role Role) (config.Secret, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return config.Secret{}, errors.New("the URL of the server cannot be read") // whose text may hold a password
	}
	u.User = url.UserPassword(role.Name, role.Password.Reveal())
	return config.NewSecret(u.String()), nil
}

// to is a URL for another database of the server.
func to(address config.Secret, database string) (config.Secret, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return config.Secret{}, errors.New("the URL of the server cannot be read")
	}
	u.Path = "/" + database
	return config.NewSecret(u.String()), nil
}
