// Package pgurl turns the URL of a PostgreSQL database into the driver's configuration, from the
// URL alone. The driver by itself adds what it finds in libpq's variables and in files below HOME:
// a shell made for another database (PGSERVICE=prod, ~/.pgpass) would lead ours astray.
//
// Whatever connects to PostgreSQL imports it; a linter holds that.
package pgurl

import (
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/config"
)

// errURL says nothing of the URL, which may hold a password.
var errURL = errors.New("this is not a PostgreSQL URL: write postgres://role:password@host:port/database, with the password percent-encoded")

// Parse reads the URL of one connection. Its error repeats no part of it.
func Parse(address config.Secret) (*pgx.ConnConfig, error) {
	whole, err := complete(address.Reveal())
	if err != nil {
		return nil, err
	}
	parsed, err := pgx.ParseConfig(whole)
	if err != nil {
		return nil, errURL
	}
	return parsed, nil
}

// ParsePool is Parse for a pool.
func ParsePool(address config.Secret) (*pgxpool.Config, error) {
	whole, err := complete(address.Reveal())
	if err != nil {
		return nil, err
	}
	parsed, err := pgxpool.ParseConfig(whole)
	if err != nil {
		return nil, errURL
	}
	return parsed, nil
}

// complete makes a URL say everything that the driver would look for elsewhere.
func complete(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Hostname() == "" || u.User.Username() == "" {
		return "", errURL
	}
	ForgetVariables()
	said, separator := u.Query(), "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	for _, file := range []string{"passfile", "sslcert", "sslkey", "sslrootcert"} { // below HOME where nothing is said
		if !said.Has(file) {
			address += separator + file + "="
			separator = "&"
		}
	}
	return address, nil
}

// ForgetVariables takes libpq's variables out of this process, in which nothing may mean them. A
// URL cannot overrule them all: PGSERVICE wins over what it says. Libraries that connect by
// themselves are covered with it.
func ForgetVariables() {
	for _, name := range variables() {
		_ = os.Unsetenv(name) // fails only for impossible names
	}
}

// variables are libpq's (PostgreSQL manual, "Environment Variables" of libpq), and PGSSLPASSWORD,
// which only the driver knows.
func variables() []string {
	return []string{
		"PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGREQUIREAUTH", "PGCHANNELBINDING",
		"PGSERVICE", "PGSERVICEFILE", "PGOPTIONS", "PGAPPNAME", "PGSSLMODE", "PGREQUIRESSL", "PGSSLNEGOTIATION", "PGSSLCOMPRESSION",
		"PGSSLCERT", "PGSSLKEY", "PGSSLPASSWORD", "PGSSLCERTMODE", "PGSSLROOTCERT", "PGSSLCRL", "PGSSLCRLDIR", "PGSSLSNI",
		"PGREQUIREPEER", "PGSSLMINPROTOCOLVERSION", "PGSSLMAXPROTOCOLVERSION", "PGGSSENCMODE", "PGKRBSRVNAME", "PGGSSLIB",
		"PGGSSDELEGATION", "PGCONNECT_TIMEOUT", "PGCLIENTENCODING", "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS",
		"PGMINPROTOCOLVERSION", "PGMAXPROTOCOLVERSION", "PGDATESTYLE", "PGTZ", "PGGEQO", "PGSYSCONFDIR", "PGLOCALEDIR",
	}
}
