// Package migrations holds the SQL files that build Authz's schema, in the order of their numbers. OpenFGA's tables have a schema of
// their own (services/authz/internal/fga).
//
// A file that was released is never changed: hashes_test.go holds what was committed. Files are Go templates for the migrator, so two
// opening braces in a row must not occur.
package migrations

import "embed"

// Schema is the schema that the files build; the role of the service has the same name.
const Schema = "authz"

// Files are the migrations.
//
//go:embed *.sql
var Files embed.FS
