package postgres_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// What an acknowledged change costs: the command log's two transactions around the engine's.
func BenchmarkWrite(b *testing.B) {
	i := postgrestest.Open(b, postgrestest.Database(b), postgrestest.Options{})
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.SetParallelism(workers)
			if workers == 1 {
				for b.Loop() {
					benchWrite(b, i)
				}
				return
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					benchWrite(b, i)
				}
			})
		})
	}
}

func benchWrite(b *testing.B, i *postgrestest.Instance) {
	b.Helper()
	object := "organization:" + uuid.NewString()
	_, err := i.Write(postgrestest.Draft(b.Context(), "identity"), "identity", relationship.Change{
		ID: uuid.NewString(), Writes: postgrestest.Tuples(b, object+"#platform@platform:gatehouse", object+"#owner@user:u", object+"#member@user:u"),
	}, nil)
	if err != nil {
		b.Error(err)
	}
}
