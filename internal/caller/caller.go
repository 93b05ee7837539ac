// Package caller carries who is calling: the program, from the mesh certificate of the peer, and the person, from the bearer token.
//
// The gRPC server's interceptors put a Caller into the context after verifying both; handlers read it. Everybody may import it.
package caller

import (
	"context"
	"time"
)

// Header is the metadata key under which the receiving sidecar hands over the SPIFFE id of the peer's mesh certificate. The sidecar
// replaces or removes it on every request (docs/architecture/security.md).
const Header = "x-gatehouse-caller"

// Caller is who is calling.
type Caller struct {
	Service string   // mesh name of the calling program, such as "gateway"
	SPIFFE  string   // its full SPIFFE id
	Subject *Subject // nil when no bearer token was needed or sent
}

// Subject is the verified access token of a person.
type Subject struct {
	UserID         string // sub
	OrganizationID string // org
	SessionID      string // sid
	ClientID       string // client_id
	TokenID        string // jti
	ExpiresAt      time.Time

	// ByPlatformRight is whether this request was admitted by a permission on what the contract
	// names for every request, the platform. It is false where something less was enough, such as
	// the own id in the request, whatever else the subject may do.
	ByPlatformRight bool
}

type key struct{}

// NewContext returns a context that carries c.
func NewContext(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// FromContext returns the caller of the request; ok is false outside of one.
func FromContext(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(key{}).(Caller)
	return c, ok
}
