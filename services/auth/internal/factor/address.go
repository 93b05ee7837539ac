package factor

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// unproven reports whether a person has to prove the address before enrolling a second factor. Who
// is the first to prove one gets the account without the factor of whoever registered it (ADR
// 0092), so that such a factor keeps nobody out. Without mail nobody can prove an address or use
// one so.
func (s *Service) unproven(verified bool) bool { return s.Desk != nil && !verified }

// mailProof mails a code that proves the address of a person who has shown the password and cannot
// be signed in before, and says so.
func (s *Service) mailProof(ctx context.Context, p Proven) error {
	waits, code := proof.New(proof.Verify, p.Email, s.Now())
	waits.UserID, waits.ReturnTo = p.UserID, p.ReturnTo
	letter := s.Desk.VerifyEmail(ctx, p.Email, p.Accept, mail.Told{Code: string(code), Lasts: waits.Purpose.Lasts()})
	e := p.Attempt
	e.OrganizationID, e.ObjectID = p.OrganizationID, p.UserID
	asked := e
	if asked.Action != "" {
		asked.Action = "auth.email_verification_requested"
	}
	if err := s.Codes.Ask(ctx, waits, letter, asked); err != nil {
		return err
	}
	s.Wake()
	return event.Attempt(errMailed, e)
}
