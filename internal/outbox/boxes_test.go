package outbox_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

const schema = "boxes"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func migrations() fs.FS {
	things := `create table boxes.things (id text primary key, revision bigint not null);`
	return fstest.MapFS{"001_create_outbox.sql": {Data: []byte(outbox.DDL(schema) + things)}}
}

func open(t testing.TB) (*pgxpool.Pool, *outbox.Outbox) {
	t.Helper()
	pool := pgtest.New(t, schema, migrations())
	return pool, outboxtest.New(t, pool, schema)
}
