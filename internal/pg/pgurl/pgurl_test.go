package pgurl_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

const canary = "canary-7c1d"

// address is a database whose name a certificate could hold, so that every TLS setting would show.
const address = "postgres://thing:pw@db.example.com:6432/gatehouse?sslmode=verify-full"

// environment lists every variable of libpq 18, each with nonsense that would change a connection
// or stop it.
func environment(dir string) map[string]string {
	return map[string]string{
		"PGHOST": "elsewhere.example.com", "PGHOSTADDR": "192.0.2.7", "PGPORT": "1", "PGDATABASE": "prod", "PGUSER": "root",
		"PGPASSWORD": canary, "PGPASSFILE": filepath.Join(dir, ".pgpass"), "PGREQUIREAUTH": "none", "PGCHANNELBINDING": "require",
		"PGSERVICE": "prod", "PGSERVICEFILE": filepath.Join(dir, ".pg_service.conf"), "PGOPTIONS": "-c search_path=prod", "PGAPPNAME": "x",
		"PGSSLMODE": "disable", "PGREQUIRESSL": "1", "PGSSLNEGOTIATION": "direct", "PGSSLCOMPRESSION": "1",
		"PGSSLCERT": filepath.Join(dir, "none.crt"), "PGSSLKEY": filepath.Join(dir, "none.key"), "PGSSLPASSWORD": canary, "PGSSLCERTMODE": "require",
		"PGSSLROOTCERT": filepath.Join(dir, "none.crt"), "PGSSLCRL": "/none", "PGSSLCRLDIR": "/none", "PGSSLSNI": "0",
		"PGREQUIREPEER": "nobody", "PGSSLMINPROTOCOLVERSION": "TLSv1.3", "PGSSLMAXPROTOCOLVERSION": "TLSv1", "PGGSSENCMODE": "require",
		"PGKRBSRVNAME": "x", "PGGSSLIB": "gssapi", "PGGSSDELEGATION": "1", "PGCONNECT_TIMEOUT": "soon", "PGCLIENTENCODING": "LATIN1",
		"PGTARGETSESSIONATTRS": "standby", "PGLOADBALANCEHOSTS": "random", "PGMINPROTOCOLVERSION": "latest", "PGMAXPROTOCOLVERSION": "9",
		"PGDATESTYLE": "x", "PGTZ": "Mars/Olympus", "PGGEQO": "off", "PGSYSCONFDIR": dir, "PGLOCALEDIR": dir,
	}
}

// home is a folder as of somebody who works with another database.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		".pgpass":                    "*:*:*:*:" + canary + "\n",
		".pg_service.conf":           "[prod]\nhost=elsewhere.example.com\npassword=" + canary + "\n",
		".postgresql/root.crt":       "nonsense",
		".postgresql/postgresql.crt": "nonsense",
		".postgresql/postgresql.key": "nonsense",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// told is everything in a configuration that a URL, a variable or a file can decide.
func told(c *pgx.ConnConfig) string {
	var fallbacks []string
	for _, f := range c.Fallbacks {
		fallbacks = append(fallbacks, fmt.Sprint(f.Host, f.Port, f.TLSConfig != nil))
	}
	tls := "none"
	if c.TLSConfig != nil {
		tls = fmt.Sprint(c.TLSConfig.ServerName, c.TLSConfig.InsecureSkipVerify, c.TLSConfig.RootCAs != nil, len(c.TLSConfig.Certificates), c.TLSConfig.NextProtos)
	}
	return fmt.Sprintf("%s %d %s %s %s %s %v %s %v %s %s %s %s %s %s %t", c.Host, c.Port, c.Database, c.User, c.Password, tls, fallbacks, c.ConnectTimeout,
		c.RuntimeParams, c.KerberosSrvName, c.SSLNegotiation, c.ChannelBinding, c.RequireAuth, c.MinProtocolVersion, c.MaxProtocolVersion, c.ValidateConnect == nil)
}

// parse reads a URL both ways, which must agree.
func parse(t *testing.T, url string) string {
	t.Helper()
	one, err := pgurl.Parse(config.NewSecret(url))
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgurl.ParsePool(config.NewSecret(url))
	if err != nil {
		t.Fatal(err)
	}
	if told(one) != told(pool.ConnConfig) {
		t.Errorf("a pool gets %s, a connection %s", told(pool.ConnConfig), told(one))
	}
	return told(one)
}

// Each of libpq's variables alone, all of them together, and the files below HOME change nothing.
func TestTheShellDoesNotReachAConnection(t *testing.T) {
	dir := home(t)
	hostile := environment(dir)
	urls := []string{address, "postgres://thing@127.0.0.1/gatehouse", "postgresql://thing:pw@127.0.0.1:6432/gatehouse?sslmode=disable&search_path=x"}
	var names []string
	for name := range hostile {
		names = append(names, name)
		t.Setenv(name, "") // so that it is as it was after the test
		_ = os.Unsetenv(name)
	}
	t.Setenv("HOME", t.TempDir())
	slices.Sort(names)
	for _, url := range urls {
		want := parse(t, url)
		for _, name := range names {
			t.Setenv(name, hostile[name])
			if got := parse(t, url); got != want {
				t.Errorf("%s with %s:\n%s\nwithout:\n%s", url, name, got, want)
			}
		}
		t.Setenv("HOME", dir)
		for _, name := range names {
			t.Setenv(name, hostile[name])
		}
		if got := parse(t, url); got != want || strings.Contains(got, canary) {
			t.Errorf("%s with all and HOME:\n%s\nwithout:\n%s", url, got, want)
		}
		t.Setenv("HOME", t.TempDir())
	}
}

// What a URL says itself holds.
func TestTheURLDecides(t *testing.T) {
	t.Parallel()
	got, err := pgurl.Parse(config.NewSecret("postgres://thing:p%40w@127.0.0.1/gatehouse?sslmode=disable&application_name=mine&options=-c%20work_mem%3D64kB"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Port != 5432 || got.Password != "p@w" || got.TLSConfig != nil || got.RuntimeParams["application_name"] != "mine" || got.RuntimeParams["options"] != "-c work_mem=64kB" {
		t.Errorf("%s", told(got))
	}
	if _, err := pgurl.Parse(config.NewSecret("postgres://thing:pw@127.0.0.1/gatehouse?sslrootcert=/none")); err == nil {
		t.Error("a certificate file of the URL is not read")
	}
}

// R74: an error repeats nothing of the URL.
func TestAnErrorHoldsNoPassword(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		canary, "host=x password=" + canary, "mysql://thing:" + canary + "@h/x", "postgres://thing:" + canary + "%zz@h/x", "postgres:///" + canary,
		"postgres://:" + canary + "@h/x", "postgres://thing:" + canary + "@h:port/x", "postgres://thing:" + canary + "@h/x?sslmode=" + canary,
		"postgres://thing:" + canary + "@h/x?pool_max_conns=" + canary,
	} {
		_, one := pgurl.Parse(config.NewSecret(bad))
		_, pool := pgurl.ParsePool(config.NewSecret(bad))
		for _, err := range []error{one, pool} {
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%s: %v", bad, err)
			}
		}
		if pool == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
