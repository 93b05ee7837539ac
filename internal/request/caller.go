// Package request is what a context knows of its request: its id, who is calling, where it came
// from, and the consistency token that it came with.
//
// The gateway and the gRPC server's interceptors put it there, after they have verified it;
// handlers and domain packages read it, and connections to other programs hand it on. Everybody may
// import it.
package request

import (
	"context"
	"time"
)

// CallerHeader is the metadata key under which the receiving sidecar hands over the SPIFFE id of
// the peer's mesh certificate. The sidecar replaces or removes it on every request
// (docs/architecture/security.md).
const CallerHeader = "x-gatehouse-caller"

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

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	k := of(ctx)
	k.caller = &c
	return with(ctx, k)
}

// CallerFrom returns the caller of the request; ok is false outside of one.
func CallerFrom(ctx context.Context) (c Caller, ok bool) {
	if caller := of(ctx).caller; caller != nil {
		return *caller, true
	}
	return Caller{}, false
}
