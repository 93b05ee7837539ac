package factortest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
)

func claimPolicies(t *testing.T, d Database) {
	const many = 5
	want := map[string]bool{}
	for range many {
		p := factor.Policy{OrganizationID: uuid.NewString(), SecondFactorRequired: true, UpdateTime: epoch}
		if err := d.Store.SetPolicy(t.Context(), p, request(p.OrganizationID)); err != nil {
			t.Fatal(err)
		}
		want[p.OrganizationID] = true
	}
	claim := func(now time.Time, limit int) []factor.Policy {
		found, err := d.Store.ClaimPolicies(t.Context(), now, now.Add(time.Hour), limit)
		if err != nil {
			t.Error(err)
		}
		return found
	}
	now := time.Now().Add(time.Minute) // a new policy is due at once, by the clock of the database
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(limit int) {
		for _, p := range claim(now, limit) {
			mu.Lock()
			if seen[p.OrganizationID]++; !want[p.OrganizationID] || !p.SecondFactorRequired || !p.UpdateTime.Equal(epoch) {
				t.Errorf("claimed %+v", p)
			}
			mu.Unlock()
		}
	}
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() { note(2) })
	}
	wait.Wait()
	note(many) // what was locked by others at that moment
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
	if len(seen) != many {
		t.Errorf("%d policies were claimed, want %d", len(seen), many)
	}
	if early := claim(now.Add(time.Hour-time.Second), many); len(early) != 0 {
		t.Errorf("claimed %+v again within the hour", early)
	}
	if bounded := claim(now.Add(time.Hour), 3); len(bounded) != 3 {
		t.Errorf("claimed %d, want the limit of 3", len(bounded))
	}
}

func dropPolicy(t *testing.T, d Database) {
	user, organization := d.Login(t)
	before := factor.Policy{OrganizationID: organization, SecondFactorRequired: true, UpdateTime: epoch}
	after := before
	after.UpdateTime = epoch.Add(time.Microsecond)
	for _, p := range []factor.Policy{before, after} {
		if err := d.Store.SetPolicy(t.Context(), p, request(user)); err != nil {
			t.Fatal(err)
		}
	}
	recorded := len(d.Recorded(t))
	for _, step := range []struct {
		drop factor.Policy
		left bool
	}{{before, true}, {factor.Policy{OrganizationID: uuid.NewString(), UpdateTime: epoch}, true}, {after, false}, {after, false}} {
		if err := d.Store.DropPolicy(t.Context(), step.drop); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Store.Policy(t.Context(), organization); err != nil || got.SecondFactorRequired != step.left {
			t.Errorf("after %+v was dropped: %+v, %v", step.drop, got, err)
		}
	}
	if len(d.Recorded(t)) != recorded {
		t.Error("it is recorded")
	}
}
