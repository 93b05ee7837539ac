package grpcserver

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

// authorize decides by the contract alone. The calling program must be one that may call the method
// through the mesh, always: it declares the call and the callee consents. Then, unless the method
// is public or for programs only, a valid bearer token is needed and one of the access alternatives
// must admit its subject.
//
//	no contract, no access rule ──► deny
//	caller that may not call ─────► deny
//	public, service ──────────────► admit, no token is read
//	signed_in ────────────────────► admit with a valid token
//	self(field) ──────────────────► admit when the field is the token's subject
//	permission(…) ────────────────► admit when Authz says so; all permissions are asked at once
//	                                (both decided on each message)
//	Authz not reached, not in time ► 503: what cannot be asked is not granted (R62)
func authorize(p Params) middleware {
	return middleware{
		around: func(ctx context.Context, c *call, next func(context.Context) error) error {
			if c.infra {
				return next(ctx)
			}
			if c.policy == nil || len(c.policy.Access) == 0 {
				return apierr.New(apierr.PermissionDenied, "METHOD_NOT_DECLARED", "the method has no access rule")
			}
			if !p.Callers.Admits(c.method, c.service) {
				return apierr.New(apierr.PermissionDenied, "CALLER_NOT_ADMITTED", "the calling program may not call this method")
			}
			if open(c.policy) {
				c.admitted = true
				return next(ctx)
			}
			claims, err := bearer(ctx, p.Verifier)
			if err != nil {
				return err
			}
			c.who, c.admitted = subjectOf(claims), true
			ctx = withSubject(ctx, c.who)
			if c.policy.LongLived {
				return p.outlive(ctx, c, claims, next)
			}
			return next(ctx)
		},
		message: func(ctx context.Context, c *call, m proto.Message) error {
			if c.infra || open(c.policy) || c.policy.Has(contract.SignedIn) {
				return nil
			}
			asked, err := admitSubject(ctx, c, p.Permissions, m)
			if err == nil {
				c.admittedBy(asked, m)
			}
			return err
		},
	}
}

// open reports whether no token is read. Both rules stand alone in a contract; Check holds that.
func open(m *contract.Method) bool {
	return len(m.Access) == 1 && (m.Access[0].Kind == contract.Public || m.Access[0].Kind == contract.Service)
}

// bearer verifies the token of the call: exactly one authorization value with the Bearer scheme (RFC 6750, section 2.1).
func bearer(ctx context.Context, verifier Verifier) (token.Claims, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return token.Claims{}, apierr.New(apierr.Unauthenticated, "TOKEN_REQUIRED", "an access token is required")
	}
	scheme, compact, ok := strings.Cut(values[0], " ")
	if len(values) != 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return token.Claims{}, apierr.New(apierr.Unauthenticated, token.ReasonInvalid, "the access token is not valid").
			Because(errors.New("not exactly one bearer token"))
	}
	return verifier.Verify(ctx, compact)
}

func subjectOf(claims token.Claims) *request.Subject {
	return &request.Subject{
		UserID: claims.Subject, OrganizationID: claims.OrganizationID, SessionID: claims.SessionID,
		ClientID: claims.ClientID, TokenID: claims.ID, ExpiresAt: claims.ExpiresAt,
	}
}

func withSubject(ctx context.Context, subject *request.Subject) context.Context {
	who, _ := request.CallerFrom(ctx)
	who.Subject = subject
	return request.WithCaller(ctx, who)
}
