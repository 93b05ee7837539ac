package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Counters are forgotten a day after their last failure, and the oldest ones when there are too many.
func TestCleanFailures(t *testing.T) {
	db := postgrestest.Open(t)
	store, now := postgres.NewFailures(db.Pool), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	left := func() (n int) {
		t.Helper()
		if err := db.Pool.QueryRow(t.Context(), `select count(*) from auth.failures`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 10 {
		at := now.Add(time.Duration(i) * time.Minute)
		_, err := db.Pool.Exec(t.Context(), `insert into auth.failures values ($1, 1, $2, gen_random_uuid(), $2)`, append(make([]byte, 15), byte(i)), at)
		fatal(t, err)
	}
	for _, c := range []struct {
		before time.Time
		most   int
		want   int
	}{
		{now.Add(-time.Second), 10, 10},
		{now.Add(2 * time.Minute), 10, 7},
		{now.Add(2 * time.Minute), 5, 5},
		{now.Add(time.Hour), 5, 0},
	} {
		if err := store.Clean(t.Context(), c.before, now, c.most); err != nil {
			t.Fatal(err)
		}
		if n := left(); n != c.want {
			t.Fatalf("%d counters after %+v", n, c)
		}
	}
}

// A device is known until its login is removed, or it was not seen for long.
func TestKnownDevicesEnd(t *testing.T) {
	db := postgrestest.Open(t)
	store, now := postgres.NewFailures(db.Pool), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	user, _ := activeLogin(t, db)
	signIn := func(user string) {
		t.Helper()
		_, err := store.Settle(t.Context(), throttle.Outcome{
			ID: uuid.NewString(), Account: throttle.Key{1}, Device: throttle.Key{2}, Address: throttle.Key{3}, UserID: user, Remember: true, Budget: 100, Now: now,
		})
		fatal(t, err)
	}
	known := func(want bool) {
		t.Helper()
		var is bool
		if err := db.Pool.QueryRow(t.Context(), `select exists (select from auth.known_devices)`).Scan(&is); err != nil || is != want {
			t.Fatalf("known: %t, %v; want %t", is, err, want)
		}
	}
	signIn("") // in vain
	known(false)
	signIn(user)
	known(true)
	fatal(t, store.Clean(t.Context(), now.Add(-time.Hour), now.Add(-time.Second), 10))
	known(true)
	fatal(t, store.Clean(t.Context(), now.Add(-time.Hour), now, 10))
	known(false)
	signIn(user)
	_, err := db.Pool.Exec(t.Context(), `delete from auth.logins where user_id = $1`, user)
	fatal(t, err)
	known(false)
	signIn(user) // at the same moment
	known(false)
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
