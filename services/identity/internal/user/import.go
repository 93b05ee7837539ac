package user

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
)

// Imported describes a user of an import. Empty fields are not given.
type Imported struct {
	Email       string
	DisplayName string
	Locale      string
	TimeZone    string
	Changes     []event.Change // what the request set, for the event of the user
}

// Verdict is what became of a user of an import.
type Verdict uint8

// The verdicts.
const (
	Made     Verdict = iota + 1 // created now, without a login
	Existing                    // there before, with every field that is given
	Conflict                    // another user has the address; nothing changed
)

// Import creates users without a login in one organization, all in one transaction, and says in
// their order what became of each. Repeating it changes nothing. Of users with one address the
// first counts. unbounded is as in New. The token names the relationships of the last one that was
// created.
func (s *Service) Import(ctx context.Context, organizationID string, users []Imported, unbounded bool) (verdicts []Verdict, token string, err error) {
	if err := validImport(users); err != nil {
		return nil, "", err
	}
	now := s.clock()
	creations := make([]Creation, len(users))
	for i, u := range users {
		e := event.FromContext(ctx)
		e.Changes = u.Changes
		creations[i] = NewCreation(e, User{
			OrganizationID: organizationID, ID: s.newID(), Email: address.Fold(u.Email), DisplayName: u.DisplayName, Locale: u.Locale,
			TimeZone: u.TimeZone, State: Active, Revision: 1, CreateTime: now, UpdateTime: now,
		}, nil)
		creations[i].Most = s.most(unbounded)
	}
	holders, token, err := s.store.Import(ctx, organizationID, creations)
	if err != nil {
		return nil, "", err
	}
	verdicts = make([]Verdict, len(users))
	for i, holder := range holders {
		verdicts[i] = verdict(creations[i].User, holder)
	}
	return verdicts, token, nil
}

// verdict compares what was asked for with who has the address.
func verdict(asked, holder User) Verdict {
	same := holder.DisplayName == cmp.Or(asked.DisplayName, holder.DisplayName) && holder.Locale == cmp.Or(asked.Locale, holder.Locale) &&
		holder.TimeZone == cmp.Or(asked.TimeZone, holder.TimeZone)
	switch {
	case holder.ID == asked.ID:
		return Made
	case same:
		return Existing
	default:
		return Conflict
	}
}

// validImport checks the rules that the contract's field rules cannot say.
func validImport(users []Imported) error {
	invalid := apierr.InvalidArgumentError()
	for i, u := range users {
		if !validLocale(u.Locale) {
			invalid = invalid.WithField(fmt.Sprintf("users[%d].locale", i), "locale", localeRule)
		}
		if !validTimeZone(u.TimeZone) {
			invalid = invalid.WithField(fmt.Sprintf("users[%d].time_zone", i), "time_zone", timeZoneRule)
		}
	}
	if len(invalid.Fields) > 0 {
		return invalid
	}
	return nil
}
