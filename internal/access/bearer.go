package access

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

// Verifier decides about a bearer token; *token.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, compact string) (token.Claims, error)
}

// Bearer verifies the token of a call: exactly one authorization value with the Bearer scheme (RFC
// 6750, section 2.1).
func (g Guard) Bearer(ctx context.Context) (token.Claims, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 0 {
		return token.Claims{}, apierr.TokenRequired()
	}
	scheme, compact, ok := strings.Cut(values[0], " ")
	if len(values) != 1 || !ok || !strings.EqualFold(scheme, "Bearer") {
		return token.Claims{}, apierr.InvalidToken().
			Because(errors.New("not exactly one bearer token"))
	}
	return g.Verifier.Verify(ctx, compact)
}

// Subject is the person of a verified token.
func Subject(claims token.Claims) *request.Subject {
	return &request.Subject{
		UserID: claims.Subject, OrganizationID: claims.OrganizationID, SessionID: claims.SessionID,
		ClientID: claims.ClientID, TokenID: claims.ID, ExpiresAt: claims.ExpiresAt,
	}
}
