package fga

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// SQLSTATE codes of the session's time limits, and of tables that are not there.
const (
	queryCanceled     = "57014"
	idleInTransaction = "25P03"
	undefinedTable    = "42P01"
)

// translate gives an error of OpenFGA or of the driver its meaning. OpenFGA's own codes start at 1000 and are sent as if they were gRPC
// codes; what it says about them is for its users, not for ours. nil stays nil.
func translate(ctx context.Context, err error) error {
	var known *apierr.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	switch sqlState(err) {
	case queryCanceled, idleInTransaction:
		return busy(err)
	case undefinedTable:
		return outdated(err)
	}
	if better := pg.Error(err); errors.As(better, &known) {
		return known
	}
	answer, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch code := uint32(answer.Code()); {
	case answer.Code() == codes.Aborted, code == uint32(openfgav1.InternalErrorCode_deadline_exceeded),
		code == uint32(openfgav1.UnprocessableContentErrorCode_throttled_timeout_error),
		code == uint32(openfgav1.ErrorCode_cancelled), // not by our caller: its context lives
		answer.Code() == codes.ResourceExhausted, answer.Code() == codes.DeadlineExceeded:
		return busy(err)
	case code == uint32(openfgav1.ErrorCode_authorization_model_not_found):
		return outdated(err)
	case code == uint32(openfgav1.ErrorCode_authorization_model_resolution_too_complex):
		return reason.RelationshipsTooDeep().Because(err)
	case code >= 2000 && code < 3000, answer.Code() == codes.InvalidArgument:
		return apierr.InvalidRelationship().Saying("the authorization model does not admit this").Because(err)
	default:
		return err
	}
}

// outdated is an error of the database, not of the request: who meets it must ask again, and no change may be refused for good.
func outdated(cause error) error {
	return apierr.SchemaNotReady().Saying("schema " + Schema + " lacks what this program needs: run `authz migrate`").
		WithRetryAfter(time.Second).Because(cause)
}

func busy(cause error) error {
	return reason.RelationshipsBusy().
		WithRetryAfter(time.Second).Because(cause)
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
