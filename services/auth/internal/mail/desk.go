package mail

import (
	"context"
	"log/slog"
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
	if d == nil {
		return nil
	}
	now := d.now()
	l, err := d.writer.write(PasswordChanged, to, accept, values{Email: to, Time: now, Link: d.writer.link("/account")})
	return d.queued(ctx, PasswordChanged, l, err, now.Add(noticeLasts))
}

// queued seals a letter. What cannot be written or sealed is a fault of ours; the change of which
// it tells goes on without it.
func (d *Desk) queued(ctx context.Context, kind Kind, l Letter, err error, expires time.Time) *Queued {
	id := uuid.NewString()
	var sealed []byte
	if err == nil {
		sealed, err = d.sealer.seal(id, l)
	}
	if err != nil {
		d.log.ErrorContext(ctx, "a mail was not written", "kind", string(kind), "error", err.Error())
		return nil
	}
	return &Queued{
		ID: id, Kind: kind, Address: d.sealer.hash(address.Fold(l.To)), Sealed: sealed, CreateTime: d.now(), ExpireTime: expires,
	}
}
