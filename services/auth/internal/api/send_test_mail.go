package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// SendTestMail queues a mail that says that mail arrives.
func (s *MailService) SendTestMail(ctx context.Context, r *authv1.SendTestMailRequest) (*authv1.SendTestMailResponse, error) {
	queued, err := s.trials.Send(ctx, r.GetEmail(), request.ClientOf(ctx).Language, event.FromContext(ctx))
	if err != nil {
		return nil, err
	}
	return &authv1.SendTestMailResponse{Mail: mailMessage(queued)}, nil
}
