package mail

import "context"

// The kinds of notices about second factors; all go to whoever has the login (R17).
const (
	SecondFactorEnrolled  Kind = "second_factor_enrolled"
	SecondFactorRemoved   Kind = "second_factor_removed"
	RecoveryCodeUsed      Kind = "recovery_code_used"
	RecoveryCodesReplaced Kind = "recovery_codes_replaced"
)

// SecondFactorEnrolled tells the owner of a login that it has another second factor from now on.
func (d *Desk) SecondFactorEnrolled(ctx context.Context, to, accept string) *Queued {
	return d.notice(ctx, SecondFactorEnrolled, to, accept)
}

// SecondFactorRemoved tells the owner of a login that it has no second factor any more.
func (d *Desk) SecondFactorRemoved(ctx context.Context, to, accept string) *Queued {
	return d.notice(ctx, SecondFactorRemoved, to, accept)
}

// RecoveryCodeUsed tells the owner of a login that one of its recovery codes was used.
func (d *Desk) RecoveryCodeUsed(ctx context.Context, to, accept string) *Queued {
	return d.notice(ctx, RecoveryCodeUsed, to, accept)
}

// RecoveryCodesReplaced tells the owner of a login that its recovery codes are other ones.
func (d *Desk) RecoveryCodesReplaced(ctx context.Context, to, accept string) *Queued {
	return d.notice(ctx, RecoveryCodesReplaced, to, accept)
}

// notice tells of a change that leads to the account's page.
func (d *Desk) notice(ctx context.Context, kind Kind, to, accept string) *Queued {
	return d.write(ctx, draft{kind: kind, to: to, accept: accept, path: "/account", lasts: noticeLasts})
}
