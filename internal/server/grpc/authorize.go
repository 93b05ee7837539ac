package grpcserver

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// authorize decides by the contract alone. The calling program must be one that may call the method
// through the mesh, always: it declares the call and the callee consents. Then, unless the method
// is public or for programs only, a valid bearer token is needed and one of the access alternatives
// must admit its subject.
//
//	no contract, no access rule ──► deny
//	caller that may not call ─────► deny
//	own REST door, no route ──────► deny
//	public, service ──────────────► admit, no token is read
//	fresh_sign_in, an old one ────► deny, whatever else admits: signing in again mends it
//	signed_in ────────────────────► admit with a valid token
//	self(field) ──────────────────► admit when the field is the token's subject
//	permission(…) ────────────────► admit when Authz says so; all permissions are asked at once
//	                                (both decided on each message)
//	Authz not reached, not in time ► 503: what cannot be asked is not granted (R62)
func authorize(p Params) middleware {
	return middleware{
		around: func(ctx context.Context, c *rpc, next func(context.Context) error) error {
			if c.infra {
				return next(ctx)
			}
			if c.policy == nil || len(c.policy.Access) == 0 {
				return apierr.MethodNotDeclared()
			}
			if !p.admits(c) {
				return apierr.CallerNotAdmitted()
			}
			if open(c.policy) {
				c.admitted = true
				return next(ctx)
			}
			claims, err := p.guard().Bearer(ctx)
			if err != nil {
				return err
			}
			if c.policy.FreshSignIn && !claims.Fresh(p.Now()) {
				return apierr.FreshSignInRequired()
			}
			c.who, c.admitted = access.Subject(claims), true
			c.SetSubject(c.who)
			if c.stream {
				denied, err := p.guard().RunWhileAuthorized(ctx, claims, &c.standing, next)
				if denied != nil {
					c.denied = denied
				}
				return err
			}
			return next(ctx)
		},
		message: func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error) {
			if c.infra || open(c.policy) || c.policy.Has(contract.SignedIn) {
				return ctx, nil
			}
			asked, admitted, err := p.guard().Admit(ctx, c.policy, c.who, m)
			switch {
			case err != nil:
				return ctx, err
			case !admitted:
				c.deny(m)
				return ctx, access.Refusal(c.policy, m)
			case c.stream:
				c.standing.Set(asked, access.ObjectOf(c.policy, m))
			}
			return ctx, nil
		},
	}
}

// open reports whether no token is read. Both rules stand alone in a contract; Check holds that.
func open(m *contract.Method) bool {
	return len(m.Access) == 1 && (m.Access[0].Kind == contract.Public || m.Access[0].Kind == contract.Service)
}

func (p Params) guard() access.Guard {
	return access.Guard{Verifier: p.Verifier, Permissions: p.Permissions, Changes: p.Changes, Recheck: p.Recheck, Now: p.Now}
}
