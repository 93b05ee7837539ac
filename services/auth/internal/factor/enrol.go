package factor

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// enrolmentLasts is how long a new secret waits for its first code.
const enrolmentLasts = 15 * time.Minute

// Enrolment is the secret of an authenticator that is not stored yet: it is in the token, sealed,
// until a code shows that the person's authenticator has it. What was enrolled before stays good
// until then.
type Enrolment struct {
	Token  string
	Secret string // as people type it
	URI    string // as authenticators read it from a picture
}

// Change is a request about the second factor of the person who makes it.
type Change struct {
	UserID string
	Keep   string      // session that stays when others end, which may be a browser's
	Accept string      // Accept-Language of the request: the notice is in that language
	Event  event.Event // of the request, with the person as its actor
}

// token is what is sealed in the tokens of enrolments and challenges.
type token struct {
	Kind     string `json:"knd"` // kindEnrolment or kindChallenge: neither is taken for the other
	UserID   string `json:"sub"`
	Proof    []byte `json:"prf,omitempty"` // hash of the password hash that the person was proven by
	Revision int64  `json:"rev"`           // of the second factor
	Secret   []byte `json:"sec,omitempty"` // that is enrolled
	Device   string `json:"dev,omitempty"`
	Expires  int64  `json:"exp"` // Unix milliseconds
}

const (
	kindEnrolment = "enrolment"
	kindChallenge = "challenge"
)

// maxToken is the most bytes of a token.
const maxToken = 1024

// open reads a token of a kind that has not expired.
func (s *Service) open(kind, text string) (t token, ok bool) {
	if len(text) > maxToken || s.Tokens.OpenText(text, &t) != nil {
		return token{}, false
	}
	return t, t.Kind == kind && s.Now().UnixMilli() < t.Expires
}

// Offer draws the secret of a new authenticator for a person who is signed in. It stores nothing.
// EMAIL_NOT_VERIFIED says that the address has to be proven first.
func (s *Service) Offer(ctx context.Context, userID string) (Enrolment, error) {
	p, err := s.person(ctx, userID)
	if err != nil {
		return Enrolment{}, err
	}
	if s.unproven(p.EmailVerified) {
		return Enrolment{}, errUnproven
	}
	return s.offer(p, token{Kind: kindEnrolment, Expires: s.Now().Add(enrolmentLasts).UnixMilli()})
}

// Offered returns what Offer did, for the page that shows it once more.
func (s *Service) Offered(ctx context.Context, userID, text string) (Enrolment, error) {
	t, ok := s.open(kindEnrolment, text)
	if !ok || t.UserID != userID {
		return Enrolment{}, errEnrolment
	}
	p, err := s.person(ctx, userID)
	if err != nil {
		return Enrolment{}, err
	}
	return s.shown(p, text, t.Secret)
}

func (s *Service) offer(p Person, t token) (Enrolment, error) {
	t.UserID, t.Revision, t.Secret = p.UserID, p.Revision, newSecret()
	text, err := s.Tokens.SealText(t)
	if err != nil {
		return Enrolment{}, err
	}
	return s.shown(p, text, t.Secret)
}

func (s *Service) shown(p Person, text string, secret []byte) (Enrolment, error) {
	link, err := uri(secret, s.Site, p.Email)
	return Enrolment{Token: text, Secret: readable(secret), URI: link}, err
}

// Confirm enrols the authenticator of an enrolment by the first code that it shows, ends all other
// sessions of the person, who were not proven by it, and returns new recovery codes. The owner of
// the login is told (R17).
func (s *Service) Confirm(ctx context.Context, c Change, text, given string) (codes []string, err error) {
	t, ok := s.open(kindEnrolment, text)
	if !ok || t.UserID != c.UserID {
		return nil, event.Attempt(errEnrolment, c.Event)
	}
	p, err := s.person(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	if s.unproven(p.EmailVerified) {
		return nil, event.Attempt(errUnproven, about(c.Event, p, "auth.totp_enrolled"))
	}
	codes, _, err = s.enrol(ctx, p, t, given, c)
	if errors.Is(err, ErrNotFound) {
		err = errEnrolment
	}
	return codes, event.Attempt(err, about(c.Event, p, "auth.totp_enrolled"))
}

// enrol stores the secret of a token if the code that was given is its own; ErrNotFound when
// something has changed since the token was made.
func (s *Service) enrol(ctx context.Context, p Person, t token, given string, c Change) (codes []string, revision int64, err error) {
	step, ok, err := match(t.Secret, given, s.Now())
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, errInvalid
	}
	sealed, err := s.Secrets.Seal(t.Secret, []byte(p.UserID))
	if err != nil {
		return nil, 0, err
	}
	codes, hashes := newRecoveryCodes(p.UserID)
	now := s.Now()
	revision, err = s.Store.Enrol(ctx, Enrolled{
		UserID: p.UserID, Revision: t.Revision, PasswordHash: p.PasswordHash, Sealed: sealed, Step: step, Codes: hashes, Keep: c.Keep,
		Time: now, RevokedUntil: now.Add(s.RevocationPeriod), Notice: s.Desk.SecondFactorEnrolled(ctx, p.Email, c.Accept),
	}, about(c.Event, p, "auth.totp_enrolled"))
	if err != nil {
		return nil, 0, err
	}
	s.Wake()
	return codes, revision, nil
}

// ReplaceCodes makes new recovery codes, and those of before worthless.
func (s *Service) ReplaceCodes(ctx context.Context, c Change) (codes []string, err error) {
	p, err := s.person(ctx, c.UserID)
	if err != nil {
		return nil, err
	}
	codes, hashes := newRecoveryCodes(p.UserID)
	e := about(c.Event, p, "auth.recovery_codes_replaced")
	err = ErrNotFound
	if p.Enrolled() {
		err = s.Store.ReplaceCodes(ctx, p.UserID, p.Revision, hashes, s.Desk.RecoveryCodesReplaced(ctx, p.Email, c.Accept), e)
	}
	if errors.Is(err, ErrNotFound) {
		return nil, event.Attempt(errNone, e)
	}
	if err != nil {
		return nil, err
	}
	s.Wake()
	return codes, nil
}

// Remove takes the second factor away, with its recovery codes. One that is gone is not an error;
// one that the organization requires stays.
func (s *Service) Remove(ctx context.Context, c Change) error {
	p, err := s.person(ctx, c.UserID)
	if err != nil {
		return err
	}
	e := about(c.Event, p, "auth.totp_removed")
	switch {
	case !p.Enrolled():
		return nil
	case p.IsRequired:
		return event.Attempt(errRequired, e)
	}
	err = s.Store.Remove(ctx, p.UserID, p.Revision, s.Desk.SecondFactorRemoved(ctx, p.Email, c.Accept), e)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	s.Wake()
	return nil
}

// person returns an active login.
func (s *Service) person(ctx context.Context, userID string) (Person, error) {
	p, err := s.Store.Person(ctx, userID)
	if errors.Is(err, ErrNotFound) {
		return Person{}, errNobody
	}
	return p, err
}
