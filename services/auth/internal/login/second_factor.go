package login

import (
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
)

// Proven is the login of a person whose password was just proven, as second factors see it. Device
// is what the cookie of the device holds, and accept the Accept-Language of the request.
func (l Login) Proven(device, accept string, attempt event.Event) factor.Proven {
	return factor.Proven{
		UserID: l.UserID, OrganizationID: l.OrganizationID, Email: l.Email, PasswordHash: l.PasswordHash, EmailVerified: l.EmailVerified,
		Revision: l.Factor.Revision, Enrolled: l.Factor.Enrolled, Required: l.Factor.Required, Device: device, Accept: accept, Attempt: attempt,
	}
}
