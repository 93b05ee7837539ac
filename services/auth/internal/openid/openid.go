// Package openid is Auth as an OpenID provider: the handlers of OpenIDService, which are web exchanges (internal/web).
//
// Wiring imports it.
package openid

import (
	"net/http"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// Params are what the provider is made of. All are required.
type Params struct {
	Issuer   string // exactly as tokens name it
	Contract *contract.Contract
	Keys     Keys
}

// Handlers are the handlers of OpenIDService, by method.
func Handlers(p Params) map[string]http.Handler {
	metadata := document(metadataOf(p.Issuer, p.Contract, offered()), metadataAge)
	return map[string]http.Handler{
		"Configuration":               metadata,
		"AuthorizationServerMetadata": metadata,
		"KeySet":                      keySet(p.Keys),
	}
}
