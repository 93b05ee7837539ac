package reset

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Ask mails a code to an address, if a login has it that may be used; in the language that suits
// accept best. Otherwise it does the same work for nobody: the same statements, with a mail that is
// written and never sent. Who asks is answered alike, and at once (R10, R11, R15).
func (s *Service) Ask(ctx context.Context, email, accept string) error {
	if !s.Configured() {
		return reason.MailNotConfigured()
	}
	email = address.Fold(email)
	l, err := s.Logins.ByEmail(ctx, email)
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return err
	}
	e := event.FromContext(ctx)
	e.Changes = event.PersonalTexts("email", email)
	e.ObjectID, e.OrganizationID = l.UserID, l.OrganizationID // so that the owner of the address sees it
	l.Email = email
	return s.send(ctx, l, accept, e)
}

// Start mails a code to a user, because an administrator wants that; who that is learns no code.
func (s *Service) Start(ctx context.Context, userID string) error {
	if !s.Configured() {
		return reason.MailNotConfigured()
	}
	l, err := s.Logins.ByUser(ctx, userID)
	if errors.Is(err, login.ErrNotFound) || err == nil && l.State != login.Active {
		return reason.NoLogin()
	}
	if err != nil {
		return err
	}
	e := event.FromContext(ctx)
	e.ObjectID, e.OrganizationID = l.UserID, l.OrganizationID
	return s.send(ctx, l, l.Language, e) // that of the administrator says nothing of the user's
}

// send stores what waits for the code and queues the mail.
func (s *Service) send(ctx context.Context, l login.Login, accept string, e event.Event) error {
	waits, code := proof.New(proof.Reset, l.Email, s.Now())
	known := l.State == login.Active
	if known {
		waits.UserID = l.UserID
	}
	told := mail.Told{Code: string(code), Lasts: waits.Purpose.Lasts()}
	if err := s.Codes.Ask(ctx, waits, s.Desk.ResetPassword(ctx, l.Email, accept, told, known), e); err != nil {
		return err
	}
	s.Wake()
	return nil
}
