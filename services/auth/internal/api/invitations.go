package api

import (
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// InvitationService implements gatehouse.auth.v1.InvitationService.
type InvitationService struct {
	authv1.UnimplementedInvitationServiceServer
	logins *login.Service
}

// NewInvitationService returns the service that makes logins of invitations.
func NewInvitationService(logins *login.Service) *InvitationService {
	return &InvitationService{logins: logins}
}
