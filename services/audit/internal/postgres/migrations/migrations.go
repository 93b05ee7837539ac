// Package migrations holds the SQL files that build Audit's schema, in the order of their numbers.
//
// They run as the role audit_owner, which owns the schema; the role audit serves, with what is granted here and nothing else. A file that
// was released is never changed: hashes_test.go holds what was committed. Files are Go templates for the migrator, so two opening braces
// in a row must not occur.
package migrations

import "embed"

// Schema is the schema that the files build; the serving role has the same name.
const Schema = "audit"

// Files are the migrations.
//
//go:embed *.sql
var Files embed.FS
