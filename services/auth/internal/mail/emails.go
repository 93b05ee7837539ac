package mail

import "context"

// ChangeEmail tells a new address of a login the code that proves it.
func (d *Desk) ChangeEmail(ctx context.Context, to, accept string, t Told) *Queued {
	return d.write(ctx, draft{kind: ChangeEmail, to: to, accept: accept, path: "/confirm-email", code: t.Code, lasts: t.Lasts})
}

// ChangeEmailTaken tells the owner of a login that somebody with another one wants its address, and
// nothing that could be used. It waits as long as a code would.
func (d *Desk) ChangeEmailTaken(ctx context.Context, to, accept string, t Told) *Queued {
	return d.write(ctx, draft{kind: ChangeEmailTaken, to: to, accept: accept, path: "/sign-in", lasts: t.Lasts})
}

// EmailChanged tells an address, the former or the new one, that the login has another address now.
func (d *Desk) EmailChanged(ctx context.Context, to, email, former, accept string) *Queued {
	return d.write(ctx, draft{kind: EmailChanged, to: to, email: email, former: former, accept: accept, path: "/account", lasts: noticeLasts})
}
