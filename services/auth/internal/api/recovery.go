package api

import (
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// RecoveryService implements gatehouse.auth.v1.RecoveryService.
type RecoveryService struct {
	authv1.UnsafeRecoveryServiceServer // a forgotten method does not compile
	resets                             *reset.Service
}

// NewRecoveryService returns the service for people who have lost their password.
func NewRecoveryService(resets *reset.Service) *RecoveryService {
	return &RecoveryService{resets: resets}
}
