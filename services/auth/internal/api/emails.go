package api

import (
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
)

// EmailService implements gatehouse.auth.v1.EmailService.
type EmailService struct {
	authv1.UnsafeEmailServiceServer // a forgotten method does not compile
	changes                         *emailchange.Service
}

// NewEmailService returns the service for people who change their address.
func NewEmailService(changes *emailchange.Service) *EmailService {
	return &EmailService{changes: changes}
}
