package emailchange

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Request is what a person asks for who is signed in.
type Request struct {
	UserID   string
	NewEmail string
	Accept   string      // Accept-Language of the request, if it had one
	Event    event.Event // of the request, with the person as its actor
}

// Ask mails a code to the new address. Nothing changes before that is shown. An address that
// another login has is answered alike: its owner is told, and nobody else.
func (s *Service) Ask(ctx context.Context, r Request) error {
	if !s.Configured() {
		return reason.MailNotConfigured()
	}
	email := address.Fold(r.NewEmail)
	l, err := s.Logins.ByUser(ctx, r.UserID)
	if errors.Is(err, login.ErrNotFound) || err == nil && l.State != login.Active {
		return reason.NoLogin()
	}
	if err != nil {
		return err
	}
	if email == l.Email {
		return apierr.InvalidArgumentError().WithField("new_email", "email.same", "is the address of the account already")
	}
	_, err = s.Logins.ByEmail(ctx, email)
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return err
	}
	waits, code := proof.New(proof.ChangeEmail, email, s.Now())
	told, letter := mail.Told{Code: string(code), Lasts: waits.Purpose.Lasts()}, s.Desk.ChangeEmailTaken
	if err != nil { // nobody has it
		waits.UserID, letter = l.UserID, s.Desk.ChangeEmail
	}
	e := r.Event
	e.ObjectID, e.OrganizationID, e.Changes = l.UserID, l.OrganizationID, event.PersonalTexts("email", email)
	if err := s.Codes.Ask(ctx, waits, letter(ctx, email, r.Accept, told), e); err != nil {
		return err
	}
	s.Wake()
	return nil
}
