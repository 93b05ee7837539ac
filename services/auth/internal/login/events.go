package login

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
)

// attempted is the event of a request that proves a password. It holds the address as it is
// compared: refusals are counted by it, and spellings of an unknown address must not be told apart
// where those of a known one are not (R11).
func attempted(ctx context.Context, email string) event.Event {
	e := event.FromContext(ctx)
	e.Changes = event.PersonalTexts("email", email)
	return e
}

// of is the event of a request about a user's login.
func of(e event.Event, userID string) event.Event {
	e.ObjectID = userID
	return e
}

// byUser says who acts: the person who was just proven. Only what is recorded with a change says
// so; a refusal keeps the event of the request.
func byUser(e event.Event, userID, organizationID string) event.Event {
	e.Actor = event.Actor{Type: event.User, ID: userID}
	e.OrganizationID = organizationID
	return of(e, userID)
}

// rehashed says that a hash was replaced: a change of its own beside the sign-in.
func rehashed(e event.Event, l Login) event.Event {
	e = byUser(e, l.UserID, l.OrganizationID)
	e.Action, e.Changes = "auth.password_rehashed", nil
	return e
}

// recovered says that a recovery made the administrator.
func recovered(e event.Event) event.Event {
	e.Action = "auth.recovered"
	return e
}
