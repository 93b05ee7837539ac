// Package mail owns what people are told by mail: its texts, the queue in which it waits sealed,
// and its way from there to whoever delivers it, an SMTP server (package smtp) or the mailbox of a
// developer.
//
// It imports no driver, transport or generated code. The postgres package keeps the queue and adds
// to it in the transaction of the change that a mail tells of; package smtp speaks SMTP.
package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind is what a mail tells, for the log; it says nothing of the person.
type Kind string

// The kinds of mails.
const (
	PasswordChanged  Kind = "password_changed"   // to whoever has the login (R17)
	SignUp           Kind = "sign_up"            // with the code that makes the login
	SignUpTaken      Kind = "sign_up_taken"      // to whoever has a login, of a sign-up with its address
	VerifyEmail      Kind = "verify_email"       // with the code that verifies the address of a login
	ResetPassword    Kind = "reset_password"     // with the code that resets the password of a login
	ChangeEmail      Kind = "change_email"       // with the code that proves a new address of a login
	ChangeEmailTaken Kind = "change_email_taken" // to whoever has a login, of another one that wants its address
	EmailChanged     Kind = "email_changed"      // to both addresses of a login (R17)
	PasswordReset    Kind = "password_reset"     // to whoever has the login (R17)
	SessionsEnded    Kind = "sessions_ended"     // to whoever has the login, of which an administrator has ended sessions (R17)
	Suspended        Kind = "suspended"          // to whoever has the login, of which an administrator has suspended the user
	Restored         Kind = "restored"           // to whoever has the login, which can be used again
	Test             Kind = "test"               // to whom an administrator says
	Invitation       Kind = "invitation"         // with the code that makes the login of a user who is invited
	InvitationTaken  Kind = "invitation_taken"   // to whoever has a login, of an invitation to its address
	Nobody           Kind = "nobody"             // to an address that nobody has: the same work, and deleted instead of sent
)

// Letter is a mail as it is read.
type Letter struct {
	To       string `json:"to"` // one address
	Language string `json:"language"`
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	HTML     string `json:"html"`
}

// Queued is a mail for the queue, sealed. It has one state at a time:
//
//	Queue ──► waiting ◄──retry──┐
//	             │              │
//	           claim ──► being sent ──250──► (deleted: sent)
//	             │              ├─────5xx──► parked ──a week later──► (deleted)
//	             │              └──Nobody──► (deleted, not sent)
//	             └──expired──► (deleted)
//
// A claim lasts for Lease: whoever claimed it and is gone by then has sent it or not, and another
// instance sends it, with the same Message-ID. More than Most mails within an hour to one address
// are never queued, nor more than MostAsked that are no notices.
type Queued struct {
	ID         string // random UUID
	Kind       Kind
	Address    []byte // keyed hash of the address
	Sealed     []byte // a Letter
	CreateTime time.Time
	ExpireTime time.Time
}

// Asked reports whether the mail is no notice: its address has MostAsked of those within Window.
func (q *Queued) Asked() bool { return !q.Kind.notice() }

// Claimed is a mail that this instance may send until its lease ends.
type Claimed struct {
	ID         string
	Kind       Kind
	Sealed     []byte
	CreateTime time.Time
	ExpireTime time.Time
	Attempt    int // 1 is the first; an attempt changes only what no later one has claimed
}

// Limits of the queue.
const (
	Most      = 5               // mails to one address within Window
	MostAsked = 3               // of them, those that are no notices
	Window    = time.Hour       //
	Lease     = 2 * time.Minute // longer than any attempt

	keepParked = 7 * 24 * time.Hour
)

// notice reports whether a mail of the kind tells the owner of an account what has happened to it.
// Any other can be asked for to somebody else's address, and whoever does must not keep its owner
// from being told.
func (k Kind) notice() bool {
	return slices.Contains([]Kind{
		PasswordChanged, PasswordReset, EmailChanged, SessionsEnded, Suspended, Restored, SecondFactorEnrolled, SecondFactorRemoved, RecoveryCodeUsed, RecoveryCodesReplaced,
	}, k)
}

// Standing is what waits in the queue.
type Standing struct {
	Waiting, Parked int
	Oldest          time.Time // when the oldest one that waits was queued; zero without one
}

// Store keeps the queue. Each method is one transaction; internal/mail/mailtest holds
// implementations to these words.
type Store interface {
	// Claim takes at most limit mails whose attempt is due and that are good still, so that no
	// other caller gets them before lease.
	Claim(ctx context.Context, now, lease time.Time, limit int) ([]Claimed, error)
	// Sent deletes a mail that was accepted, whoever has claimed it by now.
	Sent(ctx context.Context, id string) error
	// Retry says when the next attempt is, and why this one failed. A sealed that is not nil takes
	// the place of what is stored.
	Retry(ctx context.Context, c Claimed, next time.Time, reason string, sealed []byte) error
	// Park keeps a mail that nobody will ever accept, without what it says.
	Park(ctx context.Context, c Claimed, now time.Time, reason string) error
	// Clean deletes what expired before it was accepted, what was parked before parked, and counts
	// of addresses from before counted; it returns the kinds of those that expired.
	Clean(ctx context.Context, now, parked, counted time.Time) (expired []Kind, err error)
	// Standing counts what waits, up to a bound.
	Standing(ctx context.Context) (Standing, error)
	// Reseal changes what is sealed of every mail that waits, all or none; reseal returns nil for
	// what is to stay.
	Reseal(ctx context.Context, reseal func(id string, sealed []byte) ([]byte, error)) (changed int, err error)
}

// Envelope says which mail a letter is.
type Envelope struct {
	ID         string    `json:"id"` // of its Message-ID: a letter that is sent twice has one
	CreateTime time.Time `json:"create_time"`
}

// Sender delivers letters. An error that is Refused is for good, any other may be over at the next
// attempt; neither names an address.
type Sender interface {
	Send(ctx context.Context, e Envelope, l Letter) error
}

// Refused is the answer of a server that will never accept the letter (RFC 5321, section 4.2.1).
type Refused struct {
	Code     int    // 500 to 599
	Enhanced string // RFC 3463; "" where the server says none
	Stage    string // what was refused, in SMTP's words
}

// Error says what was refused, without an address: servers repeat it in their texts.
func (r *Refused) Error() string {
	code := fmt.Sprint(r.Code)
	if r.Enhanced != "" {
		code += " " + r.Enhanced
	}
	return "the mail server answers " + code + " to " + r.Stage
}

// refusal reports whether an error is for good.
func refusal(err error) bool {
	var r *Refused
	return errors.As(err, &r)
}

// Outcome is what became of a mail, or of an attempt to send it.
type Outcome string

// The outcomes.
const (
	Sent    Outcome = "sent"
	Retried Outcome = "retried"
	Parked  Outcome = "parked"
	Expired Outcome = "expired"
	Limited Outcome = "limited" // not queued: its address had Most mails within Window
)

// Outcomes are all outcomes.
func Outcomes() []Outcome { return []Outcome{Sent, Retried, Parked, Expired, Limited} }

// Metrics hears what becomes of mails.
type Metrics interface {
	Count(o Outcome)
	Standing(s Standing, now time.Time)
}
