// Package model holds the authorization model of the platform, gatehouse.fga, and its tests, *.fga.yaml in OpenFGA's store test format.
//
// The engine (services/authz/internal/fga) loads it; nobody else reads the source. Relations whose names begin with "can_" are
// permissions: contracts name them, nobody is written into them.
package model

import _ "embed"

//go:embed gatehouse.fga
var source string

// Source returns the model in OpenFGA's modelling language.
func Source() string { return source }
