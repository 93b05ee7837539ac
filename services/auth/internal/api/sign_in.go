package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// SignIn proves a password and starts a session, or asks for the second factor.
func (s *AuthService) SignIn(ctx context.Context, req *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	l, attempt, err := s.logins.Authenticate(ctx, login.Credentials{Email: req.GetEmail(), Password: req.GetPassword()})
	if err != nil {
		return nil, err
	}
	c, err := s.factors.Challenge(ctx, l.Proven("", request.ClientOf(ctx).Language, attempt))
	if err != nil {
		return nil, err
	}
	if c != nil {
		return &authv1.SignInResponse{Challenge: challengeMessage(c)}, nil
	}
	t, err := s.sessions.Start(ctx, session.Proof{
		UserID: l.UserID, OrganizationID: l.OrganizationID, AMR: []string{"pwd"}, // RFC 8176
		PasswordHash: l.PasswordHash, Attempt: attempt,
	})
	if err != nil {
		return nil, err
	}
	return &authv1.SignInResponse{
		AccessToken: t.Access, RefreshToken: t.Refresh, TokenType: tokenType, ExpiresIn: int32(t.ExpiresIn.Seconds()),
	}, nil
}

func challengeMessage(c *factor.Challenge) *authv1.Challenge {
	m := &authv1.Challenge{Token: c.Token}
	for _, method := range c.Methods {
		m.Methods = append(m.Methods, string(method))
	}
	if c.Enrolment != nil {
		m.Enrolment = &authv1.TotpEnrolment{Secret: c.Enrolment.Secret, Uri: c.Enrolment.URI}
	}
	return m
}
