package session

import (
	"encoding/json"
	"strconv"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Event is the event of a request as the session's user causes it. Only what is recorded with a
// change says so; a refusal keeps the event of the request, whose actor nobody has proven.
func (s Session) Event(e event.Event) event.Event {
	e.Actor = event.Actor{Type: event.User, ID: s.UserID, SessionID: s.ID, ClientID: s.client()}
	e.OrganizationID, e.ObjectID = s.OrganizationID, s.UserID
	return e
}

// Started is the event of a client's session that begins: the person is signed in there.
func (s Session) Started(e event.Event) event.Event {
	if e.Action != "" {
		e.Action = "auth.client_signed_in"
	}
	e.Changes = nil // a code and a verifier are no facts of the session
	return s.Event(e)
}

// Causes of the event that a session was ended by something else than a request to end it.
const (
	causeReused   = "REFRESH_TOKEN_REUSED"
	causeExpired  = "SESSION_EXPIRED"
	causeReplaced = "SIGNED_IN_AS_ANOTHER" // somebody else signed in with that browser
	causeReplayed = "CODE_REUSED"          // the authorization code of a client's session was presented twice

	causeLacksFactor = "SECOND_FACTOR_MISSING" // by the organization, since the person has signed in without one
)

// ended is the event of a session that a refused refresh token ended; the refusal itself is another one. Who presented the token is not
// known: of two holders one is a thief.
func (s Session) ended(e event.Event, cause string) event.Event {
	return sessionEnded(e, s.UserID, s.OrganizationID, s.ID, cause)
}

// ended is the event of a session that ended because of what happened to its browser. Who did that
// is not its user.
func (b Browser) ended(e event.Event, cause string) event.Event {
	return sessionEnded(e, b.UserID, b.OrganizationID, b.ID, cause)
}

func sessionEnded(e event.Event, userID, organizationID, sessionID, cause string) event.Event {
	if e.Action == "" { // no request, no event: the store refuses the change
		return e
	}
	e.Action = "auth.session_ended"
	e.OrganizationID, e.ObjectID = organizationID, userID
	e.Changes = []event.Change{
		{Field: "session_id", Value: json.RawMessage(strconv.Quote(sessionID))},
		{Field: "cause", Value: json.RawMessage(strconv.Quote(cause))},
	}
	return e
}
