package mail

import "context"

// resetPath is the page on which codes of resets are shown.
const resetPath = "/reset-password"

// ResetPassword tells the owner of a login the code with which its password is reset. For an
// address of nobody, or of a login that may not be used, it is the same work, and is never sent.
func (d *Desk) ResetPassword(ctx context.Context, to, accept string, t Told, known bool) *Queued {
	return d.write(ctx, draft{kind: ResetPassword, to: to, accept: accept, path: resetPath, code: t.Code, lasts: t.Lasts, nobody: !known})
}

// PasswordReset tells the owner of a login that its password was reset.
func (d *Desk) PasswordReset(ctx context.Context, to, accept string) *Queued {
	return d.write(ctx, draft{kind: PasswordReset, to: to, accept: accept, path: "/recover", lasts: noticeLasts})
}
