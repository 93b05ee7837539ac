package mail

import (
	"cmp"
	"context"
	"log/slog"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/address"
)

// noticeLasts is how long a notice is tried to be delivered.
const noticeLasts = 72 * time.Hour

// Desk writes mails for the queue. A nil Desk writes none: no mail is configured.
type Desk struct {
	writer *writer
	sealer *Sealer
	now    func() time.Time
	log    *slog.Logger
}

// NewDesk returns a desk whose links lead to the issuer.
func NewDesk(issuer string, sealer *Sealer, now func() time.Time, log *slog.Logger) (*Desk, error) {
	w, err := newWriter(issuer)
	if err != nil {
		return nil, err
	}
	return &Desk{writer: w, sealer: sealer, now: now, log: log}, nil
}

// PasswordChanged tells the owner of a login that its password is another one, in the language that
// suits accept, the Accept-Language of the request, best (RFC 9110, section 12.5.4). It returns nil
// when nothing is to be sent.
func (d *Desk) PasswordChanged(ctx context.Context, to, accept string) *Queued {
	return d.write(ctx, draft{kind: PasswordChanged, to: to, accept: accept, path: "/account", lasts: noticeLasts})
}

// SessionsEnded tells the owner of a login, in the language that is known of them, that an
// administrator has ended sessions of it.
func (d *Desk) SessionsEnded(ctx context.Context, to, language string) *Queued {
	return d.notice(ctx, SessionsEnded, to, language)
}

// Suspended tells the owner of a login that nobody can sign in with it for now, and Restored that
// this is over; both in the language that is known of them.
func (d *Desk) Suspended(ctx context.Context, to, language string) *Queued {
	return d.notice(ctx, Suspended, to, language)
}

// Restored is the end of what Suspended tells.
func (d *Desk) Restored(ctx context.Context, to, language string) *Queued {
	return d.write(ctx, draft{kind: Restored, to: to, accept: language, path: "/sign-in", lasts: noticeLasts})
}

// Told is what a mail tells beside its words: a code, and how long that is good, which is how long
// the mail is tried to be delivered.
type Told struct {
	Code  string
	Lasts time.Duration
}

// SignUp tells the code that makes a login of a sign-up.
func (d *Desk) SignUp(ctx context.Context, to, accept string, t Told) *Queued {
	return d.write(ctx, draft{kind: SignUp, to: to, accept: accept, path: verifyPath, code: t.Code, lasts: t.Lasts})
}

// SignUpTaken tells the owner of a login that somebody wanted to sign up with its address, and
// nothing that could be used. It waits as long as a code would.
func (d *Desk) SignUpTaken(ctx context.Context, to, accept string, t Told) *Queued {
	return d.write(ctx, draft{kind: SignUpTaken, to: to, accept: accept, path: "/sign-in", lasts: t.Lasts})
}

// VerifyEmail tells the owner of a login the code that verifies its address.
func (d *Desk) VerifyEmail(ctx context.Context, to, accept string, t Told) *Queued {
	return d.write(ctx, draft{kind: VerifyEmail, to: to, accept: accept, path: verifyPath, code: t.Code, lasts: t.Lasts})
}

// Test says to whom an administrator names that mail arrives; the mail has an id of the caller's.
func (d *Desk) Test(ctx context.Context, id, to, accept string) *Queued {
	return d.write(ctx, draft{id: id, kind: Test, to: to, accept: accept, path: "/account", lasts: testLasts})
}

// Invitation tells somebody who is invited the code that makes the login.
func (d *Desk) Invitation(ctx context.Context, to, language string, t Told) *Queued {
	return d.write(ctx, draft{kind: Invitation, to: to, accept: language, path: "/accept-invitation", code: t.Code, lasts: t.Lasts})
}

// InvitationTaken tells the owner of a login that somebody has invited its address, and nothing
// that could be used.
func (d *Desk) InvitationTaken(ctx context.Context, to, language string, t Told) *Queued {
	return d.write(ctx, draft{kind: InvitationTaken, to: to, accept: language, path: "/sign-in", lasts: t.Lasts})
}

// verifyPath is the page on which codes of sign-ups and addresses are shown.
const verifyPath = "/verify-email"

// draft is a mail before it is written.
type draft struct {
	id            string // a random UUID; "" makes one
	kind          Kind
	to, accept    string
	email, former string        // that it tells of, where they are not to
	path, code    string        // of the link, on the issuer's host
	lasts         time.Duration // how long it is tried to be delivered, and the code is good
	nobody        bool          // has the address: it is written all the same, for the same work, and never sent
}

// write writes and seals a letter. What cannot be written or sealed is a fault of ours; the change
// of which it tells goes on without it. Without a desk it is nil.
func (d *Desk) write(ctx context.Context, m draft) *Queued {
	if d == nil {
		return nil
	}
	now, id := d.now(), m.id
	if id == "" {
		id = uuid.NewString()
	}
	expires := now.Add(m.lasts)
	v := values{Email: cmp.Or(m.email, m.to), Former: m.former, Time: now, Until: expires, Link: d.writer.link(m.path)}
	if m.code != "" {
		v.Link += "?code=" + url.QueryEscape(m.code)
	}
	l, err := d.writer.write(m.kind, m.to, m.accept, v)
	if m.nobody {
		m.kind, l.To = Nobody, ""
	}
	var sealed []byte
	if err == nil {
		sealed, err = d.sealer.seal(id, l)
	}
	if err != nil {
		d.log.ErrorContext(ctx, "a mail was not written", "kind", string(m.kind), "error", err.Error())
		return nil
	}
	return &Queued{ID: id, Kind: m.kind, Address: d.sealer.hash(address.Fold(m.to)), Sealed: sealed, CreateTime: now, ExpireTime: expires}
}
