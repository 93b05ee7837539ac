package factor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// ChallengeLasts is how long a challenge may be answered.
const ChallengeLasts = 5 * time.Minute

// Proven is a person whose password was just proven, as sign-in knows them.
type Proven struct {
	UserID, OrganizationID, Email, PasswordHash string

	EmailVerified      bool  // somebody has proven that the address is theirs
	Revision           int64 // of the second factor
	Enrolled, Required bool
	Device             string      // what the cookie of the device holds; "" without one
	Accept             string      // Accept-Language of the request, if it had one: the mail is in that language
	ReturnTo           string      // where the person goes on in the end, for whoever has to follow a mail first; "" is nowhere in particular
	Attempt            event.Event // of the request
}

// Challenge is what is asked before a session begins.
type Challenge struct {
	Token     string
	Methods   []Method   // with which it may be answered
	Enrolment *Enrolment // the person has no second factor and has to enrol this one; its token is the challenge's
}

// Challenge returns what a person has to show after the password, and records that; nil when
// nothing is. Nothing else is stored: the challenge is in its token, sealed, and good for whoever
// has that, until the password or the second factor is another one. Who has to enrol and has not
// proven the address is mailed a code that does, EMAIL_NOT_VERIFIED.
func (s *Service) Challenge(ctx context.Context, p Proven) (*Challenge, error) {
	if !p.Enrolled && !p.Required {
		return nil, nil
	}
	if !p.Enrolled && s.unproven(p.EmailVerified) {
		return nil, s.mailProof(ctx, p)
	}
	t := token{
		Kind: kindChallenge, UserID: p.UserID, Proof: proofOf(p.PasswordHash), Revision: p.Revision, Device: p.Device,
		Expires: s.Now().Add(ChallengeLasts).UnixMilli(),
	}
	c, err := s.challenge(p, t)
	if err != nil {
		return nil, err
	}
	return c, s.Store.Record(ctx, challenged(p))
}

func (s *Service) challenge(p Proven, t token) (*Challenge, error) {
	if !p.Enrolled {
		e, err := s.offer(Person{UserID: p.UserID, Email: p.Email, Revision: p.Revision}, t)
		return &Challenge{Token: e.Token, Methods: []Method{TOTP}, Enrolment: &e}, err
	}
	text, err := s.Tokens.SealText(t)
	return &Challenge{Token: text, Methods: []Method{TOTP, Recovery}}, err
}

// challenged says that the password was right. Nobody is proven yet.
func challenged(p Proven) event.Event {
	e := p.Attempt
	if e.Action != "" {
		e.Action = "auth.sign_in_challenged"
	}
	e.OrganizationID, e.ObjectID = p.OrganizationID, p.UserID
	return e
}

// Asked returns a challenge by its token, for the page that shows it; INVALID_CHALLENGE when it is
// not good any more.
func (s *Service) Asked(ctx context.Context, text string) (Challenge, error) {
	t, p, err := s.asked(ctx, text)
	if err != nil {
		return Challenge{}, err
	}
	if t.Secret == nil {
		return Challenge{Token: text, Methods: []Method{TOTP, Recovery}}, nil
	}
	e, err := s.shown(p, text, t.Secret)
	return Challenge{Token: text, Methods: []Method{TOTP}, Enrolment: &e}, err
}

// asked reads the token of a challenge that is good: nothing has changed since it was made.
func (s *Service) asked(ctx context.Context, text string) (token, Person, error) {
	t, ok := s.open(kindChallenge, text)
	if !ok {
		return token{}, Person{}, errNotPending
	}
	p, err := s.Store.Person(ctx, t.UserID)
	switch {
	case errors.Is(err, ErrNotFound):
		return t, Person{}, errChallenge
	case err != nil:
		return t, Person{}, err
	case p.Revision != t.Revision, subtle.ConstantTimeCompare(t.Proof, proofOf(p.PasswordHash)) != 1:
		return t, Person{}, errChallenge
	case t.Secret != nil && s.unproven(p.EmailVerified): // asked before mail was configured
		return t, Person{}, errChallenge
	}
	return t, p, nil
}

// Shown is a person who was proven twice.
type Shown struct {
	Person

	Factor        int64    // revision of the second factor that was shown, for session.Proof
	AMR           []string // how (RFC 8176)
	Device        string   // what the cookie of the device holds; "" without one
	RecoveryCodes []string // of a second factor that was just enrolled
	Attempt       event.Event
}

// Answer proves a person by the token of a challenge and a code. A challenge that is not good any
// more is INVALID_CHALLENGE; each wrong code is INVALID_SECOND_FACTOR, after which the same
// challenge may be answered again.
func (s *Service) Answer(ctx context.Context, text string, g Given) (Shown, error) {
	e := event.FromContext(ctx)
	t, p, err := s.asked(ctx, text)
	if e.ObjectID = t.UserID; err != nil {
		return Shown{}, event.Attempt(err, e)
	}
	shown := Shown{Person: p, Factor: p.Revision, AMR: []string{"pwd", "otp", "mfa"}, Device: t.Device, Attempt: e}
	if t.Secret != nil {
		shown.RecoveryCodes, shown.Factor, err = s.enrol(ctx, p, t, g.Code, Change{UserID: p.UserID, Accept: g.Accept, Event: e})
		if errors.Is(err, ErrNotFound) {
			err = errChallenge
		}
		return shown, event.Attempt(err, e)
	}
	g.Device = t.Device
	m, err := s.verify(ctx, p, g, e)
	if m == Recovery {
		shown.AMR = []string{"pwd", "mfa"} // it is none of the methods that have a name
	}
	return shown, event.Attempt(err, e)
}

// proofOf is how a token knows a password hash.
func proofOf(passwordHash string) []byte {
	hash := sha256.Sum256([]byte(passwordHash))
	return hash[:]
}
