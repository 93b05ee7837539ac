package migrations_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
)

// A released migration has run somewhere and is never edited: a change of the schema is a new file, and a new line here.
func TestReleasedMigrationsAreUnchanged(t *testing.T) {
	pgtest.CheckReleased(t, migrations.Files, map[string]string{
		"001_create_organizations_and_users.sql":    "cf67cb0d28f2dc9cdad192e41b7b358e8e26d9a7015402fca464a664697fd385",
		"002_create_deleted_users.sql":              "c7e1488e2c7e19db381825fe9e4d6986190b639c13a422530a5afe82ea22c380",
		"003_index_users_across_organizations.sql":  "346f8d9c83dfcb2ea813cf4a85da0eb76f65dcbfb2860b5afd951a5d63779be0",
		"004_create_outbox.sql":                     "85bf2e9a4f7a30fb1e941a989790a20c6587922e940b4fe301cdad5b9080d6b7",
		"005_relate_users.sql":                      "bccc6cd47574e1f06b86ec6e38f7121c80799b983fbda8531a7b1cc562a67d8d",
		"006_create_relay.sql":                      "3e52b7dccd6b7b1d8d8582b3e08d6310d0a96e0b5acd05f4f958f3ce0525c84e",
		"007_mend_folded_addresses.sql":             "08f359347ba108d2e8ca5e5a6c76f26ff8c114f4885cbab99516a848494d2fe3",
		"008_note_writers.sql":                      "61ffd892b2ad376bbdae384a0d682a8e56aa83fe97be8c1870bb8c64a840e563",
		"009_index_users_by_writer.sql":             "0de4ea3541e2cc7bc4d7e450323bc59a920998f61478fb3500c897f9fca92331",
		"010_index_all_users_by_writer.sql":         "3528c5ccf3cb5dca501aa7045bb28d7c02799f9441428b0f1db1c1a1c789d350",
		"011_index_deleted_users_by_writer.sql":     "9a8fdb4196b094461f130a0df561e1b9aea6b9eecff563812417245a50cc6de1",
		"012_index_all_deleted_users_by_writer.sql": "ba8c5724e7ea91adbae01186e74f3b10758cfffc478c132b5aa8b97741af440b",
		"013_add_standing.sql":                      "b8034cb52faba8ba27d51f9d670dcc66116071c36d36e34633cb9defdff7767d",
		"014_index_users_by_standing.sql":           "d4fcc9093ab107d7787c55a0dded9846ebcaa13b322cc3ff1397e4ded09ba104",
		"015_index_all_users_by_standing.sql":       "a88b1920f840fff159c26445f23342e2090d275cbbc2fd6e8e5d4108c96fe6c2",
		"016_create_standings.sql":                  "307fb492758d3e4a903c130682da3b3a4a925505b30ce3d7d23cb7bb4941611f",
		"017_add_email_verified.sql":                "146aa54cd29855ed63275ba4fed017e430ba9f5d51685c748e87cc18a695d6de",
		"018_index_users_by_email_verified.sql":     "30e3feab9986769f3712ecc8314e8212cc089e980bb370e3a77625adb2c40bc8",
		"019_index_all_users_by_email_verified.sql": "7a7bbefb38876673fd55e6ecde661c331415771738d900cb91fd2fe5825f7d5c",
		"020_validate_standing.sql":                 "582c81559de220c79e686935ff35e8e1cca13927801ab34c871e39716dd37a95",
		"021_add_invitations.sql":                   "0ce0ffe562735a3383eef3c4705331cd7ffc8bef2406b7f929af2cae130d26c9",
		"022_index_due_invitations.sql":             "e087161a483b918b7604fca259eda64b4049d6bee6e17c0940620b08aa2880d4",
		"023_tell_invitations.sql":                  "bf5bae6815976abd0bd588d524d7e9af7b5e0fd7f8ef2a8bc7e86bf4247faaf3",
	})
}

// No migration since the last release holds up requests of the instances that run meanwhile.
func TestMigrationsHoldNobodyUp(t *testing.T) {
	pgtest.CheckLocks(t, migrations.Files, "012_index_all_deleted_users_by_writer.sql")
}
