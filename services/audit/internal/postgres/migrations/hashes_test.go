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
		"010_bound_first_events.sql":           "e7779ed91e9645638547469df5d2292f81644942852b2d44deaf3e2e2abfa2c1",
		"011_validate_first_bound.sql":         "144cfef9ca358c12035ee6f7dc85b2aef5eb9ab5aab16edbff5d0ea02689fdb1",
		"012_index_first_ids.sql":              "87637e97c44f7ef49d53467a81864094773f3fd979ee451942cbfe9201a3d225",
		"013_index_first_positions.sql":        "e710a1f19e8fefeb82ebdee8b94096e53afc8fef6a5d91b72ddbf9dfdcd9f6a1",
		"014_partition_events.sql":             "9e1d7fa88ed83f0fb944bf57414c37b1148ae19f574677d70c561d0efba6c556",
		"015_create_retention.sql":             "e88346e11e917d819944995fec928894b0be1b29878d9061af1aa62360c769ed",
		"016_create_log.sql":                   "96388816ef2ffc8b127d311b54e9cc4489aa8c61c921fdff10699714ba5c09b6",
		"017_create_names.sql":                 "8cc756250df4d9935240fb443b648560588925b520d1d0b556c2016091a771c1",
		"018_create_halts.sql":                 "023bb54dffc17e6bd90573af38e5c339da50e8f2a2a99ff39288de377983e5da",
		"019_create_log_pass.sql":              "e7fb912198e094a47b9d280099c36989b65d682f759a662adbcb814aee82be86",
		"020_create_lost_events.sql":           "c61b25561e7f2233ca25c803b1e63955ed90ba8f629754a6b75eb037b585313b",
	})
}

// No migration holds up requests of the instances that run meanwhile.
func TestMigrationsHoldNobodyUp(t *testing.T) {
	pgtest.CheckLocks(t, migrations.Files, "006_create_cursor_key.sql")
}
