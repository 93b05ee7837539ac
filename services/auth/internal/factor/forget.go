package factor

import (
	"context"
	"time"
)

// Organizations are those of Identity.
type Organizations interface {
	// HasOrganization reports whether an organization is there. Errors are of package apierr.
	HasOrganization(ctx context.Context, id string) (bool, error)
}

// A policy is looked at each hour, and at most so many are looked at in one pass.
const (
	lookEvery = time.Hour
	lookSize  = 100
)

// ForgetPolicies deletes policies of organizations that are deleted. Any number of instances may run
// it at once: each policy is looked at by one of them. One that could not be looked at, since
// Identity did not answer, is looked at an hour later.
func (s *Service) ForgetPolicies(ctx context.Context) error {
	now := s.Now()
	due, err := s.Store.ClaimPolicies(ctx, now, now.Add(lookEvery), lookSize)
	if err != nil {
		return err
	}
	var failed error // the first one; it keeps nobody from the others
	for _, p := range due {
		has, err := s.Organizations.HasOrganization(ctx, p.OrganizationID)
		if err == nil && !has {
			err = s.Store.DropPolicy(ctx, p)
		}
		if failed == nil {
			failed = err
		}
	}
	return failed
}
