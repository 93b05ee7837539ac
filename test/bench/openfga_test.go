package bench_test

import (
	"debug/buildinfo"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	openfgav1 "github.com/openfga/api/proto/openfga/v1"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// openFGA is the stand-alone OpenFGA server over the datastore that Authz made.
type openFGA struct {
	openfgav1.OpenFGAServiceClient
	store, model string
}

// buildOpenFGA builds the server of the module that Authz embeds, with the versions of all modules that Authz is built with. What only
// the server needs is got and checked by the go command, into copies of go.mod and go.sum.
func buildOpenFGA(b *testing.B, p *platform.Platform) string {
	b.Helper()
	program := filepath.Join(p.Bin, "openfga")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(p.Root, name))
		check.NoError(b, err)
		check.NoError(b, os.WriteFile(filepath.Join(p.Dir, name), content, 0o600))
	}
	cmd := exec.CommandContext(b.Context(), "go", "build", "-modfile", filepath.Join(p.Dir, "go.mod"), "-mod=mod", "-trimpath",
		"-o", program, "github.com/openfga/openfga/cmd/openfga")
	cmd.Dir = p.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build the stand-alone OpenFGA server: %v: give the machine access to a Go module proxy\n%s", err, out)
	}
	for _, module := range []string{"github.com/openfga/openfga", "google.golang.org/grpc", "github.com/jackc/pgx/v5"} {
		if theirs, ours := moduleOf(b, program, module), moduleOf(b, filepath.Join(p.Bin, "authz"), module); theirs != ours {
			b.Fatalf("the stand-alone server has %s %s and Authz has %s", module, theirs, ours)
		}
	}
	return program
}

// moduleOf returns the version of a module in a program.
func moduleOf(b *testing.B, program, module string) string {
	b.Helper()
	info, err := buildinfo.ReadFile(program)
	check.NoError(b, err)
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	return ""
}

// startOpenFGA serves the datastore in the schema authz_fga with what Authz gives its engine: the weighted algorithm, no cache of
// answers, a cache of the model's graph, as many connections; and with the log level that Authz has. The server makes the cache, which
// is the graph's too, only for a cache of answers: that of ListObjects, which no check reads.
func startOpenFGA(b *testing.B, program string, database config.Secret, conns int) openFGA {
	b.Helper()
	u, err := url.Parse(database.Reveal())
	check.NoError(b, err)
	query := u.Query()
	query.Set("search_path", "authz_fga")
	u.RawQuery = query.Encode()
	port := freePort(b)
	run(b, exec.Command(program, "run",
		"--grpc-addr", fmt.Sprintf("127.0.0.1:%d", port), "--http-enabled=false", "--playground-enabled=false", "--metrics-addr", fmt.Sprintf("127.0.0.1:%d", freePort(b)),
		"--datastore-engine", "postgres", "--datastore-uri", u.String(),
		"--datastore-max-open-conns", fmt.Sprint(conns), "--datastore-max-idle-conns", fmt.Sprint(conns),
		"--experimentals", "weighted_graph_check", "--list-objects-iterator-cache-enabled", "--log-level", "info", "--log-format", "json"))
	conn := dial(b, port)
	serving(b, conn, 30*time.Second)
	server := openFGA{OpenFGAServiceClient: openfgav1.NewOpenFGAServiceClient(conn)}
	stores, err := server.ListStores(b.Context(), &openfgav1.ListStoresRequest{})
	check.NoError(b, err)
	if len(stores.GetStores()) != 1 {
		b.Fatalf("the datastore has %d stores", len(stores.GetStores()))
	}
	server.store = stores.GetStores()[0].GetId()
	models, err := server.ReadAuthorizationModels(b.Context(), &openfgav1.ReadAuthorizationModelsRequest{StoreId: server.store})
	check.NoError(b, err)
	server.model = models.GetAuthorizationModels()[0].GetId()
	return server
}

// write adds relationships, written "object#relation@subject".
func (s openFGA) write(b *testing.B, relationships []string) {
	b.Helper()
	for len(relationships) > 0 {
		n := min(len(relationships), 100)
		keys := make([]*openfgav1.TupleKey, n)
		for i, text := range relationships[:n] {
			left, subject, _ := strings.Cut(text, "@")
			object, relation, _ := strings.Cut(left, "#")
			keys[i] = &openfgav1.TupleKey{Object: object, Relation: relation, User: subject}
		}
		_, err := s.Write(b.Context(), &openfgav1.WriteRequest{
			StoreId: s.store, AuthorizationModelId: s.model, Writes: &openfgav1.WriteRequestWrites{TupleKeys: keys},
		})
		check.NoError(b, err)
		relationships = relationships[n:]
	}
}

func freePort(b *testing.B) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(b, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
