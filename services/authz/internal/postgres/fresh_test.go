package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

func notFresh() error { return apierr.New(apierr.Unavailable, "NOT_FRESH_ENOUGH", "") }

// R63: a read that carries the token of a fact waits until the fact has arrived, also when it arrives at another instance.
func TestTokenOfAFactWaits(t *testing.T) {
	t.Parallel()
	both := instances(t, postgrestest.Options{})
	id := uuid.NewString()
	token := request.TokenOf(id).String()
	var wg sync.WaitGroup
	for range 5 { // several who wait for one
		wg.Go(func() {
			noErrorf(t, both[0].Fresh(t.Context(), token))
			if !both[0].Has(t, "organization:o#member@user:u") {
				t.Error("the wait ended before the fact was there")
			}
		})
	}
	check.NoError(t, write(t, both[1], relationship.Change{ID: id, Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}))
	wg.Wait()
	check.NoError(t, both[1].Fresh(t.Context(), token)) // and nobody waits for what is there
}

// A fact that does not arrive in time is never an older answer, and the answer comes before the deadline.
func TestTokenOfALateFactIsRefused(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // of which the answer keeps a tenth
	defer cancel()
	err := i.Fresh(ctx, request.TokenOf(uuid.NewString()).String())
	if !errors.Is(err, notFresh()) {
		t.Errorf("got %v, want NOT_FRESH_ENOUGH", err)
	}
	if ctx.Err() != nil {
		t.Error("the answer came after the deadline")
	}
	var known *apierr.Error
	if errors.As(err, &known) && known.RetryAfter <= 0 {
		t.Error("the answer does not say when to come back")
	}
}

// A fact that is accepted but not applied yet is not there.
func TestAcceptedIsNotApplied(t *testing.T) {
	t.Parallel()
	at, resume := make(chan struct{}), make(chan struct{})
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{Step: func(s postgrestest.Step) {
		if s == postgrestest.Accepted {
			close(at)
			<-resume
		}
	}})
	id := uuid.NewString()
	written := make(chan error, 1)
	go func() {
		_, err := i.Write(postgrestest.Draft(context.Background(), "identity"), "identity",
			relationship.Change{ID: id, Writes: postgrestest.Tuples(t, "organization:o#member@user:u")}, nil)
		written <- err
	}()
	<-at
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := i.Fresh(ctx, request.TokenOf(id).String()); !errors.Is(err, notFresh()) {
		t.Errorf("got %v, want NOT_FRESH_ENOUGH", err)
	}
	close(resume)
	check.NoError(t, i.Fresh(t.Context(), request.TokenOf(id).String()))
	check.NoError(t, <-written)
}

func TestTokensOfOtherDatabasesAndNoTokens(t *testing.T) {
	t.Parallel()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	check.NoError(t, i.Fresh(t.Context(), ""))
	p, err := i.Engine.Position(t.Context())
	check.NoError(t, err)
	check.NoError(t, i.Fresh(t.Context(), request.TokenAt(p).String()))
	ahead, elsewhere := p, p
	ahead.LSN += 1 << 40
	elsewhere.System++
	for name, position := range map[string]request.Position{"ahead": ahead, "another cluster": elsewhere} {
		if err := i.Fresh(t.Context(), request.TokenAt(position).String()); !errors.Is(err, notFresh()) {
			t.Errorf("%s: got %v, want NOT_FRESH_ENOUGH", name, err)
		}
	}
	if err := i.Fresh(t.Context(), "no token"); !errors.Is(err, apierr.New(apierr.InvalidArgument, "INVALID_CONSISTENCY_TOKEN", "")) {
		t.Errorf("got %v, want INVALID_CONSISTENCY_TOKEN", err)
	}
}

// G4: revoke, then check with the token, at another instance: never a stale allow.
func TestNewEnemy(t *testing.T) {
	t.Parallel()
	both := instances(t, postgrestest.Options{})
	tuple := postgrestest.Tuples(t, "platform:gatehouse#administrator@user:u")
	question := []fga.Question{{Relation: "can_manage_users", Object: "platform:gatehouse"}}
	for n := range 50 {
		for _, allowed := range []bool{true, false} {
			c := relationship.Change{ID: uuid.NewString(), Writes: tuple}
			if !allowed {
				c.Writes, c.Deletes = nil, tuple
			}
			token, err := both[0].Write(postgrestest.Draft(t.Context(), "auth"), "auth", c, nil)
			check.NoError(t, err)
			check.NoError(t, both[1].Fresh(t.Context(), token))
			got, err := both[1].Engine.Check(t.Context(), "user:u", question)
			check.NoError(t, err)
			if got[0] != allowed {
				t.Fatalf("round %d: allowed %t, want %t", n, got[0], allowed)
			}
		}
	}
}
