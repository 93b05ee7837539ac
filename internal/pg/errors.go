package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// SQLSTATE codes that mean something to us (PostgreSQL manual, appendix A).
const (
	foreignKeyViolation = "23503"
	undefinedTable      = "42P01"
	invalidSchemaName   = "3F000"
	uniqueViolation     = "23505"
	duplicateSchema     = "42P06"
	duplicateTable      = "42P07"
	duplicateObject     = "42710"
	lockNotAvailable    = "55P03" // after lock_timeout, or at once
	serializationFailed = "40001"
	deadlockDetected    = "40P01"
	tooManyConnections  = "53300"
	diskFull            = "53100"
	outOfMemory         = "53200" // also of the table that all locks of the server share
	readOnly            = "25006"
	idleInTransaction   = "25P03" // the server ended a session that was stopped inside a transaction
	invalidPassword     = "28P01"
	invalidAuth         = "28000"
	invalidCatalog      = "3D000"
)

// Error gives an error of the driver its meaning for the caller of the program: a database that does not answer is Unavailable
// "DATABASE_UNAVAILABLE", a conflict between transactions is Unavailable "DATABASE_BUSY". Errors of the closed set, context errors and
// those without such a meaning come back as they are; the last end as Internal at the server. nil stays nil.
func Error(err error) error {
	var known *apierr.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case sqlState(err) == serializationFailed || sqlState(err) == deadlockDetected || sqlState(err) == lockNotAvailable:
		return apierr.DatabaseBusy().
			WithRetryAfter(time.Second).Because(err)
	case unreachable(err):
		return apierr.DatabaseUnavailable().
			WithRetryAfter(time.Second).Because(err)
	default:
		return err
	}
}

// IsUnique reports whether the error is the violation of a unique constraint or index.
func IsUnique(err error, constraint string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == uniqueViolation && e.ConstraintName == constraint
}

// IsForeignKey reports whether err is the violation of that foreign key.
func IsForeignKey(err error, constraint string) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == foreignKeyViolation && e.ConstraintName == constraint
}

func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// unreachable reports whether the server cannot be had for now: no connection, one that broke, or a server that is starting,
// stopping, full or a standby.
func unreachable(err error) bool {
	if state := sqlState(err); state != "" {
		switch state {
		case tooManyConnections, diskFull, outOfMemory, readOnly, idleInTransaction:
			return true
		}
		return strings.HasPrefix(state, "08") || (strings.HasPrefix(state, "57P"))
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		strings.Contains(err.Error(), "conn closed") && pgconn.SafeToRetry(err)
}

// refused reports whether the server answered and will not let us in: waiting does not help.
func refused(err error) bool {
	switch sqlState(err) {
	case invalidPassword, invalidAuth, invalidCatalog:
		return true
	default:
		return false
	}
}
