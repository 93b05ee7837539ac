package fga_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// benchWorld is 10,000 relationships beside those of the case, so that indexes matter.
func benchWorld(b *testing.B, engine *fga.Engine) {
	b.Helper()
	var all []string
	for i := range 10_000 {
		all = append(all, fmt.Sprintf("organization:%d#member@user:%d", i/20, i))
	}
	// flat
	all = append(all, "organization:flat#admin@user:flat", "organization:flat#platform@platform:gatehouse")
	// a chain of groups below an organization
	chain := func(name string, depth int) {
		for i := 1; i < depth; i++ {
			all = append(all, fmt.Sprintf("group:%s%d#member@group:%s%d#member", name, i, name, i+1))
		}
		all = append(all, fmt.Sprintf("group:%s%d#member@user:%s", name, depth, name), fmt.Sprintf("organization:%s#admin@group:%s1#member", name, name))
	}
	chain("three", 3)
	chain("ten", 10)
	chain("forty", 40)
	// a circle of four, with its user at the far end
	chain("ring", 4)
	all = append(all, "group:ring4#member@group:ring1#member")
	fgatest.Write(b, engine, all...)
	if _, err := engine.Pool().Exec(b.Context(), "analyze authz_fga.tuple"); err != nil {
		b.Fatal(err)
	}
}

// Checks a second with eight callers, each kind of world once allowed and once refused.
func BenchmarkCheck(b *testing.B) {
	engine := fgatest.New(b)
	benchWorld(b, engine)
	for _, c := range []struct{ name, subject, relation, object string }{
		{"flat", "user:flat", "can_update", "organization:flat"},
		{"depth 3", "user:three", "can_update", "organization:three"},
		{"depth 10", "user:ten", "can_update", "organization:ten"},
		{"depth 40", "user:forty", "can_update", "organization:forty"},
		{"circle", "user:ring", "can_update", "organization:ring"},
		{"flat refused", "user:nobody", "can_update", "organization:flat"},
		{"depth 10 refused", "user:nobody", "can_update", "organization:ten"},
		{"circle refused", "user:nobody", "can_update", "organization:ring"},
	} {
		b.Run(c.name, func(b *testing.B) {
			asked := []fga.Question{{Relation: c.relation, Object: c.object}}
			want := c.subject != "user:nobody"
			before := engine.Pool().Stat().NewConnsCount()
			var wrong atomic.Int64
			b.SetParallelism(4) // times two processors
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if got, err := engine.Check(b.Context(), c.subject, asked); err != nil || got[0] != want {
						wrong.Add(1)
					}
				}
			})
			if wrong.Load() > 0 {
				b.Fatalf("%d wrong answers", wrong.Load())
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
			b.ReportMetric(float64(engine.Pool().Stat().NewConnsCount()-before), "connections")
		})
	}
}

// One request's batch as the interceptors send it.
func BenchmarkBatchOfThree(b *testing.B) {
	engine := fgatest.New(b)
	benchWorld(b, engine)
	asked := []fga.Question{
		{Relation: "can_read", Object: "organization:flat"}, {Relation: "can_list_users", Object: "organization:3"},
		{Relation: "can_read_audit", Object: "platform:gatehouse"},
	}
	for b.Loop() {
		if _, err := engine.Check(b.Context(), "user:flat", asked); err != nil {
			b.Fatal(err)
		}
	}
}
