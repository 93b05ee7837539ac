package login

import (
	"context"
	"errors"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Invitation is a user without a login whom Identity invites to have one.
type Invitation struct {
	UserID, Email, DisplayName string
	Revision                   int64  // grows each time that it is sent again
	Language                   string // that the mail is written in
}

// InvitationStore keeps invitations; internal/login/logintest holds
// implementations to these words.
type InvitationStore interface {
	// Invite stores what waits for the code of an invitation in the place of what waited for an
	// older revision, queues the mail that tells it and records the event, all or nothing. Nothing
	// changes when that revision or a newer one is there, or when the user has a login; neither
	// when the address had as many mails as it may have, which is mail.ErrLimited.
	Invite(ctx context.Context, p proof.Pending, revision int64, m *mail.Queued, e event.Event) error
}

var errNoMail = reason.MailNotConfigured()

// CanInvite reports whether invitations can be mailed at all.
func (s *Service) CanInvite() error {
	if s.Desk == nil {
		return errNoMail
	}
	return nil
}

// Invite mails a code that makes a login of the user. Somebody else who has a login with the
// address is told so instead, and nobody is told the code: who has invited learns nothing of it.
// Beyond the limit of mails it is MAIL_LIMIT_REACHED, so that Identity keeps the invitation due.
func (s *Service) Invite(ctx context.Context, in Invitation) error {
	if err := s.CanInvite(); err != nil {
		return err
	}
	email := address.Fold(in.Email)
	l, err := s.Store.ByEmail(ctx, email)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	letter := s.Desk.Invitation
	if err == nil && l.UserID != in.UserID {
		letter = s.Desk.InvitationTaken
	}
	waits, code := proof.New(proof.Invitation, email, s.Now())
	waits.UserID, waits.DisplayName = in.UserID, in.DisplayName
	told := letter(ctx, email, in.Language, mail.Told{Code: string(code), Lasts: waits.Purpose.Lasts()})
	err = s.Invitations.Invite(ctx, waits, in.Revision, told, of(event.FromContext(ctx), in.UserID))
	if errors.Is(err, mail.ErrLimited) {
		return reason.MailLimitReached().WithRetryAfter(mail.Window)
	}
	if err != nil {
		return err
	}
	s.Wake()
	return nil
}

// Acceptance is what somebody shows who was invited.
type Acceptance struct {
	Code     proof.Code
	Password string // a new one
	Accept   string // Accept-Language of the request, if it had one: it is kept
}

// AcceptInvitation makes the login of whoever shows the code of an invitation: the code is used up
// and the address reserved in one transaction, then Identity makes the user active, then the login
// is. From the first step on it is completed, by this call or by Reconcile.
func (s *Service) AcceptInvitation(ctx context.Context, a Acceptance) (Verified, error) {
	e := event.FromContext(ctx)
	e.Changes = nil // both are secrets
	p, err := s.Codes.Find(ctx, a.Code.Hash(), s.Now(), proof.Invitation)
	if errors.Is(err, proof.ErrNotFound) {
		return Verified{}, event.Attempt(errMailedCode, e)
	}
	if err != nil {
		return Verified{}, err
	}
	e = of(e, p.UserID)
	if err := s.admissible("password", a.Password, p.Email, p.DisplayName); err != nil {
		return Verified{}, err
	}
	hash, err := s.Hasher.Hash(ctx, a.Password)
	if err != nil {
		return Verified{}, err
	}
	l := Login{
		UserID: p.UserID, Email: p.Email, PasswordHash: hash, State: Pending, DisplayName: p.DisplayName, EmailVerified: true, Invited: true,
		Language: mail.Language(a.Accept),
	}
	if err := s.reserve(ctx, a.Code, l, e); err != nil {
		return Verified{}, err
	}
	u, err := s.complete(ctx, l, e)
	switch {
	case errors.Is(err, errIdentity):
		return Verified{}, errAccepted.WithRetryAfter(s.Config.RetryInterval).Because(err)
	case errors.Is(err, errRefused), errors.Is(err, errRemoved): // cancelled at the same moment
		return Verified{}, event.Attempt(errMailedCode.Because(err), e)
	}
	return Verified{Email: l.Email, ConsistencyToken: u.ConsistencyToken}, err
}

var errAccepted = reason.IdentityUnavailable().Saying("the invitation is accepted and the account will be completed; sign in a little later")

// inIdentity does in Identity what a pending login waits for.
func (s *Service) inIdentity(ctx context.Context, l Login) (User, error) {
	if l.Invited {
		return s.Directory.ActivateUser(ctx, l.UserID)
	}
	return s.Directory.CreateUser(ctx, NewUser{ID: l.UserID, Email: l.Email, DisplayName: l.DisplayName, EmailVerified: l.EmailVerified})
}
