package user

import (
	"fmt"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

// most is how many users a personal organization may have after a creation; 0 for any number.
func (s *Service) most(unbounded bool) int {
	if unbounded {
		return 0
	}
	return s.quota
}

// OrganizationFull is the response to a creation in a personal organization that has as many users
// as it may have.
func OrganizationFull(most int) error {
	return reason.OrganizationFull().Saying(fmt.Sprintf(
		"a personal organization has %d users at most, and this would make it more: delete some, or ask the platform's administrators", most))
}
