package fga

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// Migrate brings the schema authz_fga to this program's version and writes the store and the embedded model once. Any number of
// processes may call it at the same time. It waits up to c.Wait for the database to answer.
func Migrate(ctx context.Context, c pg.Config, log *slog.Logger) error {
	return errors.New("not yet")
}
