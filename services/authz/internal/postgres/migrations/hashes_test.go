package migrations_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	pgtest.CheckReleased(t, migrations.Files, map[string]string{
		"001_create_commands.sql":          "54f52e9a1dc46449654db3ff2f8a199423188f8b14b9dd1a991f34bdc6a346f5",
		"002_create_outbox.sql":            "24301e29dd3ed296790cf636bfc677fb525d62c5eff8875e95c553d6504a214b",
		"003_create_relay.sql":             "a69ae1fe2ef755ab79978f8562bd05529f0b27089cb62f8d72ffea66058cbbab",
		"004_create_departures.sql":        "6b598e46821fd4176dc7005c1240dc5c72ef72a05751291b55c0b656ca32b8a4",
		"005_fence_writes.sql":             "4ad50f501c22f63d7023d50a2b7d8e8ec14b9cb6c4b412e69e37f9b8524033c7",
		"006_note_writers.sql":             "75feeefbe2d026be0ea425f16e207717ab648ac082db838cb07e444e6a59471d",
		"007_index_commands_by_writer.sql": "2351cf7f2304c23db19428a4743db942efd215e9458cd11e9bc06f623c59d6b9",
		"008_create_suspensions.sql":       "63511a6f91cfe307bcbdf3919e44524d878e155204e4808dfa1e47e590c274f4",
	})
}
