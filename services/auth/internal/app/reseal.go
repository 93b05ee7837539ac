package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// ResealConfig is everything that `auth reseal` can be told.
type ResealConfig struct {
	Postgres pg.Config  `embed:""`
	Seal     SealConfig `embed:""`
}

// Run is Reseal for the command line.
func (c *ResealConfig) Run(p program.Process) error {
	return Reseal(context.Background(), *c, p.Stdout)
}

// resealTimeout bounds `auth reseal`.
const resealTimeout = 30 * time.Second

// Reseal is `auth reseal`: it seals the stored signing keys, mails that wait and the secrets of
// second factors with the new sealing key, and says that
// the previous one is not needed any more.
func Reseal(ctx context.Context, c ResealConfig, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, resealTimeout)
	defer cancel()
	sealer, err := signingkey.OpenSealer(c.Seal.File, c.Seal.PreviousFile)
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, c.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pg.CheckSchema(ctx, pool, migrations.Schema, migrations.Files); err != nil {
		return err
	}
	box, err := offlineOutbox(pool)
	if err != nil {
		return err
	}
	done, err := signingkey.Reseal(ctx, sealer, rand.Reader, keyStores(pool, box)...)
	if err != nil {
		return err
	}
	mails, err := resealMails(ctx, sealer, pool)
	if err != nil {
		return err
	}
	factors, err := resealer(sealer, pool, box)
	if err != nil {
		return err
	}
	secrets, err := factors.Reseal(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d of %d signing keys, %d waiting mails and %d second factors were sealed anew; all are sealed with the key in GATEHOUSE_AUTH_KEY_FILE now, "+
		"and GATEHOUSE_AUTH_KEY_PREVIOUS_FILE is not needed any more: take it away.\n", done.Changed, done.Keys, mails, secrets)
	return err
}

// resealMails seals anew what waits to be mailed, after the signing keys: from then on instances
// begin to seal mails with the new key.
func resealMails(ctx context.Context, sealer *signingkey.Sealer, pool *pgxpool.Pool) (changed int, err error) {
	mails, err := mailSealer(sealer, func() bool { return false })
	if err != nil {
		return 0, err
	}
	return mails.Reseal(ctx, postgres.NewMails(pool, nil))
}
