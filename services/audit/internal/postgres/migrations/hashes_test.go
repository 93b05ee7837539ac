package migrations_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	pgtest.CheckReleased(t, migrations.Files, map[string]string{
		"001_create_events.sql":                "219d10e9c74b9bb191fd7d8e35fe1a6f6179a3ee08aefd3b7203d47aa9fae84a",
		"002_create_outbox.sql":                "cf2dce396c6f17df299b3b4cb16bff9cf7b9c62ba20fca758922b9fd05d191ab",
		"003_spell_ids_one_way.sql":            "e9af609185e2ea86b1054e81a865b3b653fce0a8722b3f658736d3a4aef0cd0c",
		"004_create_coordination.sql":          "ff95cef81240db76c9a41296934a9ea98d962ab44b5f100881d6c5b9a06598ca",
		"005_create_relay.sql":                 "424c3764f2b3baa25db1089537fdeee87fe6f5b417a0dd7b38dfe720af4f0ec6",
		"006_create_cursor_key.sql":            "d1e9f8dda3b536de7a72edb29cdfc6e08b550d19f081c142213d21ce4cc9e131",
		"007_index_actor_positions.sql":        "f10c23787a8d7e0faf41987d77e609d82d87982c3bc4c759034df0e883530a98",
		"008_index_object_positions.sql":       "34bc221fe1c059d503bcdb624b6d7355beae847f807ded654ae9dd72f654d360",
		"009_index_organization_positions.sql": "d37df0b1699632affeb65f17d0fbcf0b2c819fcc7b0b0b21e73126babd597ace",
	})
}
