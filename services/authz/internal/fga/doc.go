// Package fga is Authz's relationship engine: OpenFGA, embedded, over PostgreSQL in the schema authz_fga.
package fga

import (
	_ "github.com/openfga/language/pkg/go/transformer"         // the model's source
	_ "github.com/openfga/openfga/pkg/server"                  // checks
	_ "github.com/openfga/openfga/pkg/server/config"           // the weighted algorithm
	_ "github.com/openfga/openfga/pkg/storage/migrate"         // its tables
	_ "github.com/openfga/openfga/pkg/storage/postgres"        // its store
	_ "github.com/openfga/openfga/pkg/storage/sqlcommon"       // its store's options
	_ "github.com/gowebpki/jcs"
)
