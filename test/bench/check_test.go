package bench_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// question is one check whose answer is known.
type question struct {
	name, subject, object string
	allowed               bool
}

// checker asks one side whether the subject may update the object.
type checker func(ctx context.Context, q question) (bool, error)

// BenchmarkCheck is the checks a second of Authz, asked on its gRPC port as its sidecar would, beside those of the stand-alone OpenFGA
// server of the same version over the same data on the same PostgreSQL, with the same algorithm, caches, pool, log level and clients
// (eight at a time on one connection each side), in interleaved rounds. Bound: ratio 0.95 for each kind of question.
func BenchmarkCheck(b *testing.B) {
	const (
		clients = 8
		conns   = 20 // GATEHOUSE_AUTHZ_ENGINE_MAX_CONNS
		slice   = time.Second
	)
	p := stopped(b)
	program := buildOpenFGA(b, p)
	server, _ := pgtest.Server(b)
	url := freshDatabase(b, server, "authz", "authz", "authz")
	check.NoError(b, database.Make(b.Context(), server.SuperURL("authz"), database.Program{Schemas: []string{"authz", "authz_fga"}, Owner: database.Role{Name: "authz"}}))
	migrate(b, p, "authz", url)
	theirs := startOpenFGA(b, program, url, conns)
	questions := world(b, theirs)
	_, err := connect(b, server.SuperURL("authz")).Exec(b.Context(), "vacuum analyze authz_fga.tuple")
	check.NoError(b, err)
	sides := [2]checker{ours(b, authzv1.NewAuthzServiceClient(serve(b, p, "authz", 8083, url))), theirs.check}

	measure := func(ask checker, q question) float64 {
		var wrong atomic.Int64
		checks, err := rate(b.Context(), clients, slice, func() error {
			allowed, err := ask(b.Context(), q)
			if allowed != q.allowed {
				wrong.Add(1)
			}
			return err
		})
		check.NoError(b, err)
		if wrong.Load() > 0 {
			b.Fatalf("%d wrong answers", wrong.Load())
		}
		return checks
	}
	for _, q := range questions { // warm
		measure(sides[0], q)
		measure(sides[1], q)
	}
	found := map[string][3][]float64{} // ours, theirs, ratio
	for round := 0; b.Loop(); round++ {
		for _, q := range questions {
			var checks [2]float64
			for i := range sides {
				side := (i + round) % 2 // who is first changes
				checks[side] = measure(sides[side], q)
			}
			f := found[q.name]
			for i, value := range []float64{checks[0], checks[1], checks[0] / checks[1]} {
				f[i] = append(f[i], value)
			}
			found[q.name] = f
		}
	}
	for name, f := range found {
		b.ReportMetric(median(f[0]), name+"-authz/s")
		b.ReportMetric(median(f[1]), name+"-openfga/s")
		b.ReportMetric(median(f[2]), name+"-ratio")
	}
	b.ReportMetric(0.95, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// world writes 10,000 relationships that nobody asks about and those of the questions.
func world(b *testing.B, server openFGA) []question {
	b.Helper()
	var all []string
	for i := range 10_000 {
		all = append(all, fmt.Sprintf("organization:%d#member@user:%d", i/20, i))
	}
	all = append(all, "organization:flat#admin@user:flat", "organization:flat#platform@platform:gatehouse", "platform:gatehouse#administrator@user:root")
	for name, depth := range map[string]int{"three": 3, "ten": 10} {
		for i := 1; i < depth; i++ {
			all = append(all, fmt.Sprintf("group:%s%d#member@group:%s%d#member", name, i, name, i+1))
		}
		all = append(all, fmt.Sprintf("group:%s%d#member@user:%s", name, depth, name), fmt.Sprintf("organization:%s#admin@group:%s1#member", name, name))
	}
	server.write(b, all)
	return []question{
		{"direct", "user:flat", "organization:flat", true},
		{"platform", "user:root", "organization:flat", true},
		{"refused", "user:1", "organization:flat", false},
		{"depth-3", "user:three", "organization:three", true},
		{"depth-10", "user:ten", "organization:ten", true},
	}
}

func ours(b *testing.B, client authzv1.AuthzServiceClient) checker {
	b.Helper()
	return func(ctx context.Context, q question) (bool, error) {
		ctx = metadata.AppendToOutgoingContext(ctx, request.CallerHeader, grpctest.SPIFFE("identity"))
		answer, err := client.BatchCheck(ctx, &authzv1.BatchCheckRequest{Subject: q.subject, Questions: []*authzv1.Question{{Relation: "can_update", Object: q.object}}})
		return len(answer.GetAllowed()) == 1 && answer.GetAllowed()[0], err
	}
}

// check asks for an answer as fresh as Authz's.
func (s openFGA) check(ctx context.Context, q question) (bool, error) {
	answer, err := s.Check(ctx, &openfgav1.CheckRequest{
		StoreId: s.store, AuthorizationModelId: s.model, Consistency: openfgav1.ConsistencyPreference_HIGHER_CONSISTENCY,
		TupleKey: &openfgav1.CheckRequestTupleKey{User: q.subject, Relation: "can_update", Object: q.object},
	})
	return answer.GetAllowed(), err
}
