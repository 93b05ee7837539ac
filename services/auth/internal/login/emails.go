package login

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// VerificationRequest is a person's wish to prove the address of their login.
type VerificationRequest struct {
	UserID string
	Accept string      // Accept-Language of the request, if it had one: the mail is in that language
	Event  event.Event // of the request, with the person as its actor
}

// RequestVerification mails a person who is signed in a code that proves the address of their
// login, by VerifyEmail.
func (s *Service) RequestVerification(ctx context.Context, r VerificationRequest) error {
	if s.Desk == nil {
		return reason.MailNotConfigured()
	}
	l, err := s.Store.ByUser(ctx, r.UserID)
	if errors.Is(err, ErrNotFound) || err == nil && l.State != Active {
		return errInvalidCredentials // removed a moment ago, and the session with it
	}
	if err != nil {
		return err
	}
	if l.EmailVerified {
		return reason.EmailAlreadyVerified()
	}
	waits, code := proof.New(proof.Verify, l.Email, s.Now())
	waits.UserID = l.UserID
	letter := s.Desk.VerifyEmail(ctx, l.Email, r.Accept, mail.Told{Code: string(code), Lasts: waits.Purpose.Lasts()})
	e := of(r.Event, l.UserID)
	e.OrganizationID = l.OrganizationID
	if err := s.Codes.Ask(ctx, waits, letter, e); err != nil {
		return err
	}
	s.Wake()
	return nil
}

// ReconcileEmails tells Identity of the addresses that it has not learnt of. Any number of
// instances may run it at once; it returns as Reconcile does.
func (s *Service) ReconcileEmails(ctx context.Context) error {
	for {
		now := s.Now()
		due, err := s.Store.ClaimEmails(ctx, now, now.Add(s.Config.RetryInterval), claimSize)
		if err != nil {
			return err
		}
		var failed []error
		for _, e := range due {
			failed = append(failed, s.tell(ctx, e))
		}
		if err := errors.Join(failed...); err != nil || len(due) < claimSize {
			return err
		}
	}
}

func (s *Service) tell(ctx context.Context, e Email) error {
	bounded, cancel := context.WithTimeout(ctx, s.Config.CreateUserTimeout)
	defer cancel()
	if err := s.Directory.SetEmail(bounded, e); err != nil {
		return err
	}
	return s.Store.EmailTold(ctx, e)
}
