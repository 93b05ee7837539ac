package secrets_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/secrets"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

// world is a Nomad that keeps the secrets of a namespace of the test's own.
type world struct {
	t         *testing.T
	nomad     *nomadtest.Server
	namespace string
	def       *mesh.Definition
	server    secrets.Database
	cert      secrets.Certificate
	mu        sync.Mutex
	printed   []string
}

func newWorld(t *testing.T, nomad *nomadtest.Server) *world {
	t.Helper()
	name := "test-" + strings.ToLower(strings.NewReplacer("/", "-", "_", "-", " ", "-").Replace(t.Name()))
	if _, err := nomad.Namespaces().Register(&api.Namespace{Name: name}, nil); err != nil {
		t.Fatal(err)
	}
	return &world{t: t, nomad: nomad, namespace: name, def: meshtest.Definition(t)}
}

func (w *world) keeper() *secrets.Keeper {
	w.t.Helper()
	environ := append(w.nomad.Environ(w.nomad.Token), "NOMAD_NAMESPACE="+w.namespace)
	keeper, err := secrets.New(secrets.Nomad{Environ: environ}, w.def, w.server, w.cert, func(format string, args ...any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.printed = append(w.printed, fmt.Sprintf(format, args...))
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return keeper
}

func (w *world) ensure() {
	w.t.Helper()
	if err := w.keeper().Ensure(w.t.Context(), false); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) query() *api.QueryOptions { return &api.QueryOptions{Namespace: w.namespace} }

// all are all items of the namespace by "path item".
func (w *world) all() map[string]string {
	w.t.Helper()
	list, _, err := w.nomad.Variables().List(w.query())
	if err != nil {
		w.t.Fatal(err)
	}
	items := map[string]string{}
	for _, one := range list {
		variable, _, err := w.nomad.Variables().Read(one.Path, w.query())
		if err != nil {
			w.t.Fatal(err)
		}
		for item, value := range variable.Items {
			items[one.Path+" "+item] = value
		}
	}
	return items
}

func (w *world) put(path, item, value string) {
	w.t.Helper()
	variable := &api.Variable{Path: path, Items: api.VariableItems{}}
	if found, _, err := w.nomad.Variables().Peek(path, w.query()); err == nil && found != nil {
		variable = found
	}
	variable.Items[item] = value
	if _, _, err := w.nomad.Variables().Update(variable, &api.WriteOptions{Namespace: w.namespace}); err != nil {
		w.t.Fatal(err)
	}
}

// Every task finds every secret of its plan at its own path, and nothing of another task; what is
// there already stays, and no value is printed.
func TestSecrets(t *testing.T) {
	nomad := nomadtest.New(t)
	t.Run("fresh", func(t *testing.T) { fresh(newWorld(t, nomad)) })
	t.Run("kept", func(t *testing.T) { kept(newWorld(t, nomad)) })
	t.Run("at once", func(t *testing.T) { atOnce(newWorld(t, nomad)) })
	t.Run("own server", func(t *testing.T) { ownServer(newWorld(t, nomad)) })
	t.Run("certificate", func(t *testing.T) { certificate(newWorld(t, nomad)) })
	t.Run("rotate a password", func(t *testing.T) { rotatePassword(newWorld(t, nomad)) })
	t.Run("rotate a key", func(t *testing.T) { rotateKey(newWorld(t, nomad)) })
	t.Run("rotate a key beside others", func(t *testing.T) { rotateKeyBesideOthers(newWorld(t, nomad)) })
	t.Run("refusals", func(t *testing.T) { refusals(newWorld(t, nomad)) })
}

func fresh(w *world) {
	t := w.t
	w.ensure()
	items, wanted := w.all(), []string{}
	for _, program := range plan.Of(w.def).Programs {
		for _, task := range program.Tasks {
			path := secrets.Path(program.Name, task.Verb)
			for _, v := range task.Env {
				if v.Source != plan.SecretFile || v.Before {
					continue
				}
				wanted = append(wanted, path+" "+v.Item())
				if v.Kind != "" {
					continue
				}
				password := items["nomad/jobs/postgres/postgres/prepare "+database.PasswordVariable(task.Role)]
				want := fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/gatehouse?sslmode=disable", task.Role, password, program.Database.Port)
				if got := items[path+" "+v.Item()]; got != want || len(password) != 43 {
					t.Errorf("%s of %s is not the URL of %s", v.Item(), path, task.Role)
				}
			}
		}
		if program.Database == nil {
			continue
		}
		for _, role := range program.Database.Roles {
			wanted = append(wanted, "nomad/jobs/postgres/postgres/prepare "+database.PasswordVariable(role.Name))
		}
	}
	wanted = append(wanted, "nomad/jobs/postgres/postgres/postgres POSTGRES_PASSWORD", "nomad/jobs/postgres/postgres/prepare POSTGRES_PASSWORD")
	for name := range items {
		if !slices.Contains(wanted, name) {
			t.Errorf("there is an item %s, which no task asks for", name)
		}
	}
	values := map[string]bool{}
	for _, name := range wanted {
		if items[name] == "" {
			t.Errorf("there is no item %s", name)
		}
		values[items[name]] = true
	}
	if items["nomad/jobs/postgres/postgres/postgres POSTGRES_PASSWORD"] != items["nomad/jobs/postgres/postgres/prepare POSTGRES_PASSWORD"] {
		t.Error("the superuser has two passwords")
	}
	if a, b := items["nomad/jobs/audit/audit/migrate GATEHOUSE_POSTGRES_URL"], items["nomad/jobs/audit/audit/serve GATEHOUSE_POSTGRES_URL"]; !strings.Contains(a, "audit_owner:") || strings.Contains(b, "owner") {
		t.Error("the serving task can read the owner's URL, or the migration cannot")
	}
	for _, line := range w.printed {
		for value := range values {
			if strings.Contains(line, value) {
				t.Errorf("a value is printed: %s", line)
			}
		}
	}
	if len(w.printed) != len(wanted) {
		t.Errorf("printed %d lines of %d items", len(w.printed), len(wanted))
	}
	w.printed = nil
	w.ensure()
	if again := w.all(); fmt.Sprint(again) != fmt.Sprint(items) || !slices.Equal(w.printed, []string{"nothing to write"}) {
		t.Errorf("a second time it writes: %q", w.printed)
	}
}

// kept: what somebody has put there stays, and what follows from it follows.
func kept(w *world) {
	t := w.t
	w.put("nomad/jobs/auth/auth/serve", "GATEHOUSE_AUTH_KEY", "theirs")
	w.put("nomad/jobs/auth/auth/serve", "OTHER", "other")
	w.put("nomad/jobs/postgres/postgres/prepare", "IDENTITY_PASSWORD", "p@ss")
	w.ensure()
	items := w.all()
	for name, want := range map[string]string{
		"nomad/jobs/auth/auth/serve GATEHOUSE_AUTH_KEY": "theirs", "nomad/jobs/auth/auth/serve OTHER": "other",
		"nomad/jobs/identity/identity/serve GATEHOUSE_POSTGRES_URL": "postgres://identity:p%40ss@127.0.0.1:20039/gatehouse?sslmode=disable",
	} {
		if items[name] != want {
			t.Errorf("%s is not what was put there, or does not follow from it", name)
		}
	}
	w.put("nomad/jobs/identity/identity/serve", "GATEHOUSE_POSTGRES_URL", "postgres://by-hand")
	err := w.keeper().Ensure(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "nomad/jobs/identity/identity/serve GATEHOUSE_POSTGRES_URL") || !strings.Contains(err.Error(), "--repair") || strings.Contains(err.Error(), "by-hand") {
		t.Errorf("%v, want a sentence with the name of what differs", err)
	}
	if got := w.all()["nomad/jobs/identity/identity/serve GATEHOUSE_POSTGRES_URL"]; got != "postgres://by-hand" {
		t.Error("it was overwritten unasked")
	}
	if err := w.keeper().Ensure(t.Context(), true); err != nil {
		t.Error(err)
	}
	if again := w.all(); fmt.Sprint(again) != fmt.Sprint(items) {
		t.Error("--repair does not bring it back")
	}
}

// atOnce: of several, one makes each secret, and all places agree.
func atOnce(w *world) {
	var all sync.WaitGroup
	for range 4 {
		keeper := w.keeper()
		all.Go(func() {
			if err := keeper.Ensure(context.Background(), false); err != nil {
				w.t.Error(err)
			}
		})
	}
	all.Wait()
	before := w.all()
	w.ensure() // which would name what differs
	if fmt.Sprint(w.all()) != fmt.Sprint(before) {
		w.t.Error("something was missing still")
	}
}

func ownServer(w *world) {
	w.server = secrets.Database{Host: "db.example.com:5432", RootCert: "/certs/db ca.pem"}
	w.ensure()
	items := w.all()
	for name, value := range items {
		if strings.HasSuffix(name, " POSTGRES_PASSWORD") {
			w.t.Errorf("a server of one's own has %s", name)
		}
		if !strings.HasSuffix(name, " GATEHOUSE_POSTGRES_URL") {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Host != "db.example.com:5432" || u.Query().Get("sslmode") != "verify-full" || u.Query().Get("sslrootcert") != "/certs/db ca.pem" {
			w.t.Errorf("%s leads elsewhere", name)
		}
	}
}

func certificate(w *world) {
	w.cert = secrets.Certificate{Cert: "chain 1\n", Key: "key 1\n"}
	w.ensure()
	const at = "nomad/jobs/gateway/gateway/serve GATEHOUSE_GATEWAY_TLS_"
	if items := w.all(); items[at+"CERT"] != "chain 1\n" || items[at+"KEY"] != "key 1\n" {
		w.t.Error("the certificate is not there")
	}
	w.cert = secrets.Certificate{Cert: "chain 2\n", Key: "key 2\n"}
	if err := w.keeper().Ensure(w.t.Context(), false); err == nil || !strings.Contains(err.Error(), at+"CERT") || !strings.Contains(err.Error(), "secrets rotate") {
		w.t.Errorf("another certificate: %v", err)
	}
	if items := w.all(); items[at+"CERT"] != "chain 1\n" {
		w.t.Error("the certificate is overwritten unasked")
	}
	if err := w.keeper().Rotate(w.t.Context(), "GATEHOUSE_GATEWAY_TLS_CERT", 0); err != nil {
		w.t.Fatal(err)
	}
	if items := w.all(); items[at+"CERT"] != "chain 2\n" || items[at+"KEY"] != "key 2\n" {
		w.t.Error("the certificate and its key did not change together")
	}
}

// rotatePassword: the URLs of all tasks of the role change before its password does.
func rotatePassword(w *world) {
	if err := w.keeper().Rotate(w.t.Context(), "IDENTITY_PASSWORD", 0); err == nil || !strings.Contains(err.Error(), "secrets ensure") {
		w.t.Errorf("before there is one: %v", err)
	}
	w.ensure()
	before := w.all()
	stopped, cancel := context.WithCancel(w.t.Context())
	go func() {
		defer cancel()
		for w.t.Context().Err() == nil && w.all()["nomad/jobs/identity/identity/serve GATEHOUSE_POSTGRES_URL"] == before["nomad/jobs/identity/identity/serve GATEHOUSE_POSTGRES_URL"] {
			<-time.After(20 * time.Millisecond)
		}
	}()
	if err := w.keeper().Rotate(stopped, "IDENTITY_PASSWORD", time.Hour); err == nil || !strings.Contains(err.Error(), "repeat the command") {
		w.t.Errorf("stopped in the pause: %v", err)
	}
	if w.all()["nomad/jobs/postgres/postgres/prepare IDENTITY_PASSWORD"] != before["nomad/jobs/postgres/postgres/prepare IDENTITY_PASSWORD"] {
		w.t.Error("the password changes before the pause has ended")
	}
	if err := w.keeper().Rotate(w.t.Context(), "IDENTITY_PASSWORD", time.Millisecond); err != nil {
		w.t.Fatal(err)
	}
	after := w.all()
	for name, value := range before {
		identity := strings.Contains(name, "jobs/identity/") || strings.HasSuffix(name, " IDENTITY_PASSWORD")
		if changed := after[name] != value; changed != identity {
			w.t.Errorf("%s: changed %t", name, changed)
		}
	}
	w.ensure() // which would name what does not follow from the new password
	if err := w.keeper().Rotate(w.t.Context(), "POSTGRES_PASSWORD", 0); err == nil || !strings.Contains(err.Error(), "by hand") {
		w.t.Errorf("the superuser's: %v", err)
	}
}

// rotateKey: the old key stays beside the new one until somebody says that nothing needs it.
func rotateKey(w *world) {
	t := w.t
	const at, previous = "nomad/jobs/auth/auth/serve GATEHOUSE_AUTH_KEY", "nomad/jobs/auth/auth/serve GATEHOUSE_AUTH_KEY_PREVIOUS"
	if err := w.keeper().Rotate(t.Context(), "GATEHOUSE_AUTH_KEY", 0); err == nil || !strings.Contains(err.Error(), "secrets ensure") {
		t.Errorf("before there is one: %v", err)
	}
	w.ensure()
	before := w.all()
	if err := w.keeper().Rotate(t.Context(), "GATEHOUSE_AUTH_KEY", 0); err != nil {
		t.Fatal(err)
	}
	during := w.all()
	if during[at] == before[at] || len(during[at]) != 44 || during[previous] != before[at] {
		t.Error("the old key is not the previous one")
	}
	if err := w.keeper().Rotate(t.Context(), "GATEHOUSE_AUTH_KEY", 0); err == nil || !strings.Contains(err.Error(), "--finish") {
		t.Errorf("again before it is finished: %v", err)
	}
	w.ensure()
	if fmt.Sprint(w.all()) != fmt.Sprint(during) {
		t.Error("ensure changes what a rotation has begun")
	}
	if err := w.keeper().Finish(t.Context(), "GATEHOUSE_AUTH_KEY"); err != nil {
		t.Fatal(err)
	}
	after := w.all()
	if _, exists := after[previous]; exists || after[at] != during[at] {
		t.Error("the previous key is there still, or the key has changed")
	}
	if err := w.keeper().Finish(t.Context(), "IDENTITY_PASSWORD"); err == nil {
		t.Error("a password has a previous value")
	}
	if err := w.keeper().Rotate(t.Context(), "NOBODYS_PASSWORD", 0); err == nil || !strings.Contains(err.Error(), "AUDIT_OWNER_PASSWORD") {
		t.Errorf("an unknown name: %v", err)
	}
}

// refusals are one sentence each, which says how to fix it.
func refusals(w *world) {
	reader := w.token(`namespace "` + w.namespace + `" { variables { path "*" { capabilities = ["read", "list"] } } }`)
	environ := func(change ...string) []string {
		return append(append(w.nomad.Environ(w.nomad.Token), "NOMAD_NAMESPACE="+w.namespace), change...)
	}
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"no address":                {nil, "set NOMAD_ADDR"},
		"nobody there":              {environ("NOMAD_ADDR=http://127.0.0.1:1"), "does not answer at http://127.0.0.1:1"},
		"no certificate file":       {environ("NOMAD_ADDR=https://127.0.0.1:1", "NOMAD_CACERT=/none.pem"), "NOMAD_"},
		"no TLS there":              {environ("NOMAD_ADDR=" + strings.Replace(w.nomad.Address, "http:", "https:", 1)), "NOMAD_CACERT"},
		"no token":                  {environ("NOMAD_TOKEN="), "set NOMAD_TOKEN"},
		"an unknown token":          {environ("NOMAD_TOKEN=00000000-0000-4000-8000-000000000000"), "does not know the token"},
		"not a token":               {environ("NOMAD_TOKEN=x"), "NOMAD_TOKEN"},
		"a token without the right": {environ("NOMAD_TOKEN=" + reader), "read and write for the variables nomad/jobs/*"},
		"no namespace":              {environ("NOMAD_NAMESPACE=elsewhere"), "nomad namespace apply elsewhere"},
		"not our namespace yet":     {environ("NOMAD_NAMESPACE="), "nomad namespace apply -json nomad/acl/namespace.json"},
	} {
		keeper, err := secrets.New(secrets.Nomad{Environ: c.environ}, w.def, secrets.Database{}, secrets.Certificate{}, func(string, ...any) {})
		if err == nil {
			err = keeper.Ensure(w.t.Context(), false)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), w.nomad.Token) {
			w.t.Errorf("%s: %v, want a sentence with %q", name, err, c.want)
		}
	}
	if len(w.all()) > 0 {
		w.t.Error("something was written")
	}
	stopped, cancel := context.WithCancel(w.t.Context())
	cancel()
	if err := w.keeper().Ensure(stopped, false); err == nil || !strings.Contains(err.Error(), "stopped: ") || strings.Contains(err.Error(), "NOMAD_") {
		w.t.Errorf("interrupted: %v", err)
	}
}

// token is one with a policy of these rules.
func (w *world) token(rules string) string {
	w.t.Helper()
	if _, err := w.nomad.ACLPolicies().Upsert(&api.ACLPolicy{Name: w.namespace, Rules: rules}, nil); err != nil {
		w.t.Fatal(err)
	}
	token, _, err := w.nomad.ACLTokens().Create(&api.ACLToken{Name: w.namespace, Type: "client", Policies: []string{w.namespace}}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return token.SecretID
}
