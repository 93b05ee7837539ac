package api

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// MailService implements gatehouse.auth.v1.MailService.
type MailService struct {
	authv1.UnsafeMailServiceServer // a forgotten method does not compile
	trials                         *mail.Trials
}

// NewMailService returns the service for administrators of mail.
func NewMailService(trials *mail.Trials) *MailService { return &MailService{trials: trials} }

func mailMessage(s mail.Status) *authv1.Mail {
	return &authv1.Mail{
		Id: s.ID, Kind: string(s.Kind), Attempts: int32(s.Attempts), Reason: s.Reason, Parked: s.Parked, //nolint:gosec // an attempt a second for a week fits
		AttemptTime: timestamppb.New(s.AttemptTime), CreateTime: timestamppb.New(s.CreateTime), ExpireTime: timestamppb.New(s.ExpireTime),
	}
}
