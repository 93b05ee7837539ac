package rpcstatus

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// What a caller knows of its callee passes; everything else is that the callee cannot be had, or a
// defect.
func TestFromCallee(t *testing.T) {
	taken := apierr.New(apierr.AlreadyExists, "EMAIL_TAKEN", "taken")
	down := apierr.New(apierr.Unavailable, "SHOP_UNAVAILABLE", "the shop does not answer")
	for name, c := range map[string]struct {
		err    error
		reason string
	}{
		"known":                    {FromError(taken.WithField("email", "unique", "another")).Err(), "EMAIL_TAKEN"},
		"known, within another":    {fmt.Errorf("create: %w", taken), "EMAIL_TAKEN"},
		"the reason, another kind": {FromError(apierr.New(apierr.NotFound, "EMAIL_TAKEN", "x")).Err(), "INTERNAL"},
		"unknown":                  {FromError(apierr.New(apierr.NotFound, "USER_NOT_FOUND", "x")).Err(), "INTERNAL"},
		"no right":                 {FromError(apierr.CallerNotAdmitted()).Err(), "INTERNAL"},
		"a defect there":           {FromError(apierr.InternalError()).Err(), "INTERNAL"},
		"its database is down":     {FromError(apierr.DatabaseUnavailable()).Err(), "SHOP_UNAVAILABLE"},
		"not reached":              {status.Error(codes.Unavailable, "no healthy upstream"), "SHOP_UNAVAILABLE"},
		"no intention":             {status.Error(codes.PermissionDenied, "RBAC: access denied"), "SHOP_UNAVAILABLE"},
		"too slow":                 {status.Error(codes.DeadlineExceeded, "x"), "SHOP_UNAVAILABLE"},
		"called too often":         {FromError(apierr.CallerRateLimited()).Err(), "SHOP_UNAVAILABLE"},
		"not even a status":        {errors.New("x"), "INTERNAL"},
	} {
		err := FromCallee(t.Context(), c.err, down, taken)
		var e *apierr.Error
		if !errors.As(err, &e) || e.Reason != c.reason {
			t.Errorf("%s: %v, want %s", name, err, c.reason)
		}
		if c.reason == "EMAIL_TAKEN" && name == "known" && len(e.Fields) != 1 {
			t.Errorf("%s: the fields are lost", name)
		}
	}
	if err := FromCallee(t.Context(), nil, down); err != nil {
		t.Errorf("no error becomes %v", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := FromCallee(gone, FromError(taken).Err(), down, taken); !errors.Is(err, context.Canceled) {
		t.Errorf("to a client that is gone: %v", err)
	}
}
