// Package secrets keeps the secrets of a platform in Nomad: one variable for each task, at the path
// that Nomad lets the task read, with one item for each secret of internal/plan. It writes with
// check-and-set, overwrites nothing that it was not asked to, and tells names, never values.
//
// Only commands of the CLI import it.
package secrets

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// Tasks of the job that runs the database server.
const (
	serverTask  = mesh.Postgres
	prepareTask = "prepare" // runs `gatehouse database prepare`
)

// Database is how programs reach PostgreSQL.
type Database struct {
	Host     string // host:port of a server outside of the mesh; empty to go through the program's sidecar
	RootCert string // path of the CA's certificate, where tasks see it; the system's CAs when empty
}

// What the items of a certificate are called, after the area of the program.
const tlsCert, tlsKey = "_TLS_CERT", "_TLS_KEY"

// Certificate is that of the public listener, in PEM; empty to leave it alone.
type Certificate struct{ Cert, Key string }

// place is an item of a variable.
type place struct {
	path, item string
	form       func(secret string) string // what is kept there; nil for the secret itself
}

func (p place) holds(secret string) string {
	if p.form == nil {
		return secret
	}
	return p.form(secret)
}

// secret is one value with all the places where it is kept. The first one holds it as it is.
type secret struct {
	name   string
	places []place
	before []place // of the value that it had before, while it is replaced
	make   func() string
	given  bool   // make gives what somebody else has made
	fixed  string // why it is not rotated by this command
}

// list are all secrets of a platform, in the order in which they are written.
func list(def *mesh.Definition, server Database, certificate Certificate) ([]secret, error) {
	var all collection
	p := plan.Of(def)
	if server.Host == "" {
		all.add(secret{
			name: database.PasswordVariable(mesh.Postgres), make: password,
			fixed: "the superuser's password is changed by hand: in the server by `\\password`, then in both variables by `nomad var put`",
		}, place{path: Path(mesh.Postgres, serverTask), item: "POSTGRES_PASSWORD"}, place{path: Path(mesh.Postgres, prepareTask), item: "POSTGRES_PASSWORD"})
	}
	for _, program := range p.Programs {
		if program.Database != nil {
			for _, role := range program.Database.Roles {
				variable := database.PasswordVariable(role.Name)
				all.add(secret{name: variable, make: password}, place{path: Path(mesh.Postgres, prepareTask), item: variable})
			}
		}
		for _, task := range program.Tasks {
			if err := all.addTask(program, task, server); err != nil {
				return nil, err
			}
		}
		if program.Edge && certificate.Cert != "" {
			path, area := Path(program.Name, plan.Serve), "GATEHOUSE_"+plan.Area(program.Program)
			all.add(secret{name: area + tlsCert, make: func() string { return certificate.Cert }, given: true}, place{path: path, item: area + tlsCert})
			all.add(secret{name: area + tlsKey, make: func() string { return certificate.Key }, given: true}, place{path: path, item: area + tlsKey})
		}
	}
	return all.secrets, nil
}

// Path is the variable that a task of a job, whose group has the job's name, may read.
func Path(job, task string) string { return "nomad/jobs/" + job + "/" + job + "/" + task }

// collection gathers the places of secrets.
type collection struct{ secrets []secret }

// add adds places to the secret of that name, which it makes if there is none.
func (c *collection) add(s secret, places ...place) *secret {
	for i := range c.secrets {
		if c.secrets[i].name == s.name {
			c.secrets[i].places = append(c.secrets[i].places, places...)
			return &c.secrets[i]
		}
	}
	s.places = places
	c.secrets = append(c.secrets, s)
	return &c.secrets[len(c.secrets)-1]
}

func (c *collection) addTask(program plan.Program, task plan.Task, server Database) error {
	path := Path(program.Name, task.Verb)
	var last *secret
	for _, v := range task.Env {
		at := place{path: path, item: v.Item()}
		switch {
		case v.Source != plan.SecretFile:
		case v.Before:
			last.before = append(last.before, at) // it follows its secret
		case v.Kind == contract.KeySecret:
			last = c.add(secret{name: at.item, make: key}, at)
		case v.Kind == contract.PasswordSecret:
			last = c.add(secret{name: at.item, make: password}, at)
		case v.Kind == "":
			at.form = func(password string) string { return server.url(program.Database.Port, task.Role, password) }
			last = c.add(secret{name: database.PasswordVariable(task.Role), make: password}, at)
		default:
			return fmt.Errorf("the secret %s of %s is a %s, which this command cannot make: take the command of the same version", at.item, program.Name, v.Kind)
		}
	}
	return nil
}

// url is the database as a program sees it.
func (d Database) url(port int, role, password string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/" + plan.DatabaseName, RawQuery: "sslmode=disable"}
	if d.Host != "" {
		u.Host, u.RawQuery = d.Host, "sslmode=verify-full"
		if d.RootCert != "" {
			u.RawQuery += "&" + url.Values{"sslrootcert": {d.RootCert}}.Encode()
		}
	}
	return u.String()
}

// key is 32 random bytes in base64.
func key() string { return base64.StdEncoding.EncodeToString(random()) }

// password is 32 random bytes in base64 that needs no escaping in a URL.
func password() string { return base64.RawURLEncoding.EncodeToString(random()) }

func random() []byte {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return raw
}
