package postgres_test

import (
	"errors"
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
		if err := store.Fail(t.Context(), []throttle.Key{{byte(i)}}, at, now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
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
	device := throttle.Key{1}
	known := func() bool {
		t.Helper()
		a, err := store.Admit(t.Context(), throttle.Question{ID: uuid.NewString(), Device: device, Budget: 1, Now: now, Forgotten: now, AddressForgotten: now})
		if err != nil {
			t.Fatal(err)
		}
		return a.Known
	}
	remember := func() { t.Helper(); fatal(t, store.Forgive(t.Context(), throttle.Key{2}, &device, user, now)) }
	if known() {
		t.Fatal("a device is known with which nobody has signed in")
	}
	remember()
	fatal(t, store.Clean(t.Context(), now, now.Add(-time.Second), 10))
	if !known() {
		t.Fatal("the device is not known")
	}
	fatal(t, store.Clean(t.Context(), now, now, 10))
	if known() {
		t.Fatal("the device is known although it was not seen for long")
	}
	remember()
	_, err := db.Pool.Exec(t.Context(), `delete from auth.logins where user_id = $1`, user)
	fatal(t, errors.Join(err, store.Forgive(t.Context(), throttle.Key{2}, &device, user, now))) // of a sign-in at the same moment
	if known() {
		t.Fatal("the device of a removed login is known")
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
