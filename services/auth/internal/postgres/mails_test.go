package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// A claim neither waits for a mail that another transaction holds nor takes it.
func TestAClaimLeavesAloneWhatIsHeld(t *testing.T) {
	db, now := postgrestest.Open(t), time.Now()
	var ids []string
	for range 2 {
		q := &mail.Queued{
			ID: uuid.NewString(), Kind: mail.PasswordChanged, Address: []byte(uuid.NewString()), Sealed: []byte("sealed"), CreateTime: now, ExpireTime: now.Add(time.Hour),
		}
		db.Queue(t, q)
		ids = append(ids, q.ID)
	}
	tx, err := db.Pool.Begin(t.Context())
	check.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), `select from auth.mails where id = @id for update`, pgx.StrictNamedArgs{"id": ids[0]})
	check.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	claimed, err := db.Mails.Claim(ctx, now, now.Add(mail.Lease), 10)
	if err != nil || len(claimed) != 1 || claimed[0].ID != ids[1] {
		t.Errorf("claimed %+v, %v; want the one that nobody holds", claimed, err)
	}
}
