package fga_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	serverErrors "github.com/openfga/openfga/pkg/server/errors"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
)

// OpenFGA's codes, which are not gRPC codes, and the driver's errors inside of them become errors
// of the closed set.
func TestErrorsOfOpenFGAHaveAMeaning(t *testing.T) {
	t.Parallel()
	database := func(state string) error {
		return serverErrors.HandleError("", fmt.Errorf("sql error: %w", &pgconn.PgError{Code: state}))
	}
	for name, c := range map[string]struct {
		err    error
		kind   apierr.Kind
		reason string
	}{
		"2002 too complex":         {serverErrors.ErrAuthorizationModelResolutionTooComplex, apierr.FailedPrecondition, "RELATIONSHIPS_TOO_DEEP"},
		"2017 refused write":       {serverErrors.WriteFailedDueToInvalidInput(errors.New("x")), apierr.InvalidArgument, "INVALID_RELATIONSHIP"},
		"2053 too many":            {serverErrors.ExceededEntityLimit("write operations", 100), apierr.InvalidArgument, "INVALID_RELATIONSHIP"},
		"2000 validation":          {serverErrors.ValidationError(errors.New("x")), apierr.InvalidArgument, "INVALID_RELATIONSHIP"},
		"3 invalid":                {status.Error(codes.InvalidArgument, "x"), apierr.InvalidArgument, "INVALID_RELATIONSHIP"},
		"10 aborted":               {status.Error(codes.Aborted, "x"), apierr.Unavailable, "RELATIONSHIPS_BUSY"},
		"4004 deadline":            {serverErrors.ErrRequestDeadlineExceeded, apierr.Unavailable, "RELATIONSHIPS_BUSY"},
		"3500 throttled":           {serverErrors.ErrThrottledTimeout, apierr.Unavailable, "RELATIONSHIPS_BUSY"},
		"2058 not by our caller":   {serverErrors.ErrRequestCancelled, apierr.Unavailable, "RELATIONSHIPS_BUSY"},
		"statement timeout":        {database("57014"), apierr.Unavailable, "RELATIONSHIPS_BUSY"},
		"idle transaction":         {database("25P03"), apierr.Unavailable, "RELATIONSHIPS_BUSY"},
		"no table":                 {database("42P01"), apierr.Unavailable, "SCHEMA_OUTDATED"}, // a fact that meets it comes again
		"2001 no model":            {serverErrors.AuthorizationModelNotFound("x"), apierr.Unavailable, "SCHEMA_OUTDATED"},
		"shutdown":                 {database("57P01"), apierr.Unavailable, "DATABASE_UNAVAILABLE"},
		"serialization":            {database("40001"), apierr.Unavailable, "DATABASE_BUSY"},
		"already one of the set":   {apierr.New(apierr.NotFound, "X", ""), apierr.NotFound, "X"},
		"a set's inside OpenFGA's": {serverErrors.HandleError("", apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "")), apierr.Unavailable, "DATABASE_UNAVAILABLE"},
	} {
		if err := fga.Translate(t.Context(), c.err); !errors.Is(err, apierr.New(c.kind, c.reason, "")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fga.Translate(t.Context(), nil); err != nil {
		t.Errorf("no error: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fga.Translate(over, serverErrors.ErrRequestCancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller is gone: %v", err)
	}
	if got := apierr.From(fga.Translate(t.Context(), database("XX000"))); got.Kind != apierr.Internal {
		t.Errorf("a defect: %v", got)
	}
}
