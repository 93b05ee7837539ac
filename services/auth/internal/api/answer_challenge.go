package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// AnswerChallenge proves the second factor and starts a session.
func (s *AuthService) AnswerChallenge(ctx context.Context, req *authv1.AnswerChallengeRequest) (*authv1.AnswerChallengeResponse, error) {
	shown, err := s.factors.Answer(ctx, req.GetToken(), factor.Given{
		Code: req.GetCode(), RecoveryCode: req.GetRecoveryCode(), Accept: request.ClientOf(ctx).Language,
	})
	if err != nil {
		return nil, err
	}
	t, err := s.sessions.Start(ctx, session.Proof{
		UserID: shown.UserID, OrganizationID: shown.OrganizationID, AMR: shown.AMR, PasswordHash: shown.PasswordHash, Factor: shown.Factor,
		Attempt: shown.Attempt,
	})
	if err != nil {
		return nil, err
	}
	return &authv1.AnswerChallengeResponse{
		AccessToken: t.Access, RefreshToken: t.Refresh, TokenType: tokenType, ExpiresIn: int32(t.ExpiresIn.Seconds()), RecoveryCodes: shown.RecoveryCodes,
	}, nil
}
