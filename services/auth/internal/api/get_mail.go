package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// GetMail says how a mail fares.
func (s *MailService) GetMail(ctx context.Context, r *authv1.GetMailRequest) (*authv1.GetMailResponse, error) {
	found, err := s.trials.Status(ctx, r.GetId())
	if err != nil {
		return nil, err
	}
	return &authv1.GetMailResponse{Mail: mailMessage(found)}, nil
}
