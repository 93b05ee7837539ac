package postgrestest

import (
	"log/slog"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
)

// FactorService is the service of second factors over the database, as every instance of Auth has
// one. It writes no mails.
func (d *Database) FactorService(now func() time.Time) *factor.Service {
	box := func(purpose string) *seal.Box { return seal.NewBox(purpose, make([]byte, 32), nil, nil) }
	return factor.NewService(factor.Params{
		Store: d.Factors, Secrets: box(factor.SecretPurpose), Tokens: box(factor.TokenPurpose), Throttle: d.Throttled(now), Codes: d.MailedCodes, Site: "id.example",
		RevocationPeriod: time.Hour, Now: now, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
}
