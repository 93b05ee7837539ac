package grpcserver

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/caller"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/token"
)

// authorize decides by the contract alone. The calling program must have the callee's consent, always; then, unless the method is
// public or for programs only, a valid bearer token is needed and one of the access alternatives must admit its subject.
//
//	no contract, no access rule ──► deny
//	caller without consent ───────► deny
//	public, service ──────────────► admit, no token is read
//	signed_in ────────────────────► admit with a valid token
//	self(field) ──────────────────► admit when the field is the token's subject (decided on each message)
//	permission(…) ────────────────► 503 until Authz exists: what cannot be asked is not granted (R62)
func authorize(p Params) middleware {
	return middleware{
		around: func(ctx context.Context, c *call, next func(context.Context) error) error {
			if c.infra {
				return next(ctx)
			}
			if c.policy == nil || len(c.policy.Access) == 0 {
				return apierr.New(apierr.PermissionDenied, "METHOD_NOT_DECLARED", "the method has no access rule")
			}
			if !c.policy.Admits(c.service) {
				return apierr.New(apierr.PermissionDenied, "CALLER_NOT_ADMITTED", "the calling program may not call this method")
			}
			if open(c.policy) {
				return next(ctx)
			}
			claims, err := bearer(ctx, p.Verifier)
			if err != nil {
				return err
			}
			c.subject = claims.Subject
			ctx = withSubject(ctx, claims)
			if c.policy.LongLived { // such a stream lives no longer than its token
				expired := apierr.New(apierr.Unauthenticated, token.ReasonExpired, "the access token has expired")
				until, cancel := context.WithTimeoutCause(ctx, claims.ExpiresAt.Sub(p.Now()), expired)
				defer cancel()
				return because(until, next(until))
			}
			return next(ctx)
		},
		message: func(ctx context.Context, c *call, m proto.Message) error {
			if c.infra || open(c.policy) || c.policy.Has(contract.SignedIn) {
				return nil
			}
			return admitSubject(c, m)
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

func withSubject(ctx context.Context, claims token.Claims) context.Context {
	who, _ := caller.FromContext(ctx)
	who.Subject = &caller.Subject{
		UserID: claims.Subject, OrganizationID: claims.OrganizationID, SessionID: claims.SessionID,
		ClientID: claims.ClientID, TokenID: claims.ID, ExpiresAt: claims.ExpiresAt,
	}
	return caller.NewContext(ctx, who)
}

// admitSubject tries the self and permission alternatives on one request message.
func admitSubject(c *call, m proto.Message) error {
	ask := false
	for _, a := range c.policy.Access {
		switch a.Kind {
		case contract.Self:
			if value, ok := stringField(m.ProtoReflect(), a.Field); ok && value != "" && value == c.subject {
				return nil
			}
		case contract.Permission:
			ask = true
		}
	}
	if ask {
		return apierr.New(apierr.Unavailable, "AUTHZ_UNAVAILABLE", "permissions cannot be checked now").WithRetryAfter(time.Second)
	}
	return notFound(c.policy)
}

// stringField follows a path of singular message fields to a string field.
func stringField(m protoreflect.Message, path string) (string, bool) {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		switch {
		case f == nil || f.Cardinality() == protoreflect.Repeated:
			return "", false
		case !deeper:
			return m.Get(f).String(), f.Kind() == protoreflect.StringKind
		case f.Message() == nil:
			return "", false
		}
		m, path = m.Get(f).Message(), rest
	}
}

// notFound is what a foreign object is answered with: the same as an unknown one, so that nobody learns which ids exist (R52). Handlers
// answer apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no such user") for an unknown user.
func notFound(m *contract.Method) error {
	words := object(m)
	return apierr.New(apierr.NotFound, strings.ToUpper(strings.Join(words, "_"))+"_NOT_FOUND", "no such "+strings.Join(words, " "))
}

// object names what a method is about, in lower-case words: the first element of the self field ("user.id", "user_id"), or the method's
// name without its verb ("GetUser") when the field is only "id".
func object(m *contract.Method) []string {
	for _, a := range m.Access {
		if a.Kind != contract.Self {
			continue
		}
		first, _, nested := strings.Cut(a.Field, ".")
		if nested {
			return strings.Split(first, "_")
		}
		if name, ok := strings.CutSuffix(first, "_id"); ok && name != "" {
			return strings.Split(name, "_")
		}
	}
	_, name, _ := strings.Cut(m.FullName[1:], "/")
	var words []string
	start := 0
	for i, r := range name + "X" {
		if i > 0 && unicode.IsUpper(r) {
			words = append(words, strings.ToLower(name[start:i]))
			start = i
		}
	}
	if len(words) > 1 {
		return words[1:]
	}
	return []string{"object"}
}
