package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Retries are told when to come again, and not to where the call was tried below, has waited or
// would not last.
func TestPushback(t *testing.T) {
	now := time.Now()
	down := apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "down")
	soon := down.WithRetryAfter(1500 * time.Millisecond)
	for name, c := range map[string]struct {
		failure *apierr.Error
		left    time.Duration // of the call; 0 is no deadline
		want    string
	}{
		"says when":                    {soon, 0, "1500"},
		"says when, and there is time": {soon, 10 * time.Second, "1500"},
		"the call ends before":         {soon, time.Second, "-1"},
		"says nothing":                 {down, 0, ""},
		"says nothing, driver's text":  {down.Because(errors.New("refused")), 0, ""},
		"not unavailable":              {apierr.New(apierr.ResourceExhausted, "BUSY", "busy").WithRetryAfter(time.Second), 0, ""},
		"another's status":             {soon.Because(fmt.Errorf("ask: %w", status.Error(codes.Unavailable, "x"))), 0, "-1"},
		"another's answer":             {soon.Because(fmt.Errorf("ask: %w", down)), 0, "-1"},
		"nobody could be asked":        {apierr.New(apierr.Unavailable, apierr.AuthzUnavailable().Reason, "x"), 0, "-1"},
		"waited":                       {apierr.New(apierr.Unavailable, apierr.NotFreshEnough().Reason, "x").WithRetryAfter(time.Second), 0, "-1"},
	} {
		ctx := t.Context()
		if c.left > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, now.Add(c.left))
			defer cancel()
		}
		got := ""
		if said := pushback(ctx, c.failure, func() time.Time { return now }).Get("grpc-retry-pushback-ms"); len(said) == 1 {
			got = said[0]
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
