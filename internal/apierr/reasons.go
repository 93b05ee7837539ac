package apierr

// Kernel is the table of the kernel's own reasons: those that any program may answer with. A reason
// stays what it is for ever: clients match on it, and its page (docs/problems) is what a problem's
// type names. A reason with two rows has two kinds or statuses.
func Kernel() []*Error {
	return append([]*Error{
		// Errors of which nothing more is known than their kind.
		InternalError(),
		InvalidArgumentError(),
		PermissionDeniedError(),
		DeadlineExceededError(),
		CanceledError(),
		UnimplementedError(),
		// Who asks.
		TokenRequired(),
		InvalidToken(),
		TokenExpired(),
		TokenRevoked(),
		FreshSignInRequired(),
		KeysUnavailable(),
		RevocationsStale(),
		AuthzUnavailable(),
		ObjectNotFound(),
		// Which program calls.
		CallerUnknown(),
		CallerNotAdmitted(),
		MethodNotDeclared(),
		// The mesh and gRPC. That a request needs a call that the mesh does not admit, or more than
		// a program may use, is not its user's doing.
		UpstreamUnavailable(),
		CallDenied(),
		RequestTooLarge(),
		UpstreamExhausted(),
		ShuttingDown(),
		NotReady(),
		// Resources, relationships and consistency.
		ETagMismatch(),
		InvalidRelationship(),
		InvalidConsistencyToken(),
		NotFreshEnough(),
		CursorExpired(),
		// The database.
		DatabaseBusy(),
		DatabaseUnavailable(),
		DatabaseFullOfLocks(),
		SchemaOutdated(),
		SchemaNotReady(),
		OutboxStandsStill(),
		// How much is asked for.
		RateLimited(),
		TooManyStreams(),
		AllStreamsTaken(),
		CallerRateLimited(),
	}, ofHTTP()...)
}

// InternalError is INTERNAL.
func InternalError() *Error {
	return New(Internal, "INTERNAL", "an internal error occurred")
}

// InvalidArgumentError is INVALID_ARGUMENT.
func InvalidArgumentError() *Error {
	return New(InvalidArgument, "INVALID_ARGUMENT", "a field has a value that is not allowed")
}

// PermissionDeniedError is PERMISSION_DENIED.
func PermissionDeniedError() *Error {
	return New(PermissionDenied, "PERMISSION_DENIED", "you are not permitted to do this")
}

// DeadlineExceededError is DEADLINE_EXCEEDED.
func DeadlineExceededError() *Error {
	return New(DeadlineExceeded, "DEADLINE_EXCEEDED", "the request took too long")
}

// CanceledError is CANCELED.
func CanceledError() *Error {
	return New(Canceled, "CANCELED", "the request was canceled")
}

// UnimplementedError is UNIMPLEMENTED.
func UnimplementedError() *Error {
	return New(Unimplemented, "UNIMPLEMENTED", "there is no such method")
}

// TokenRequired is TOKEN_REQUIRED.
func TokenRequired() *Error {
	return New(Unauthenticated, "TOKEN_REQUIRED", "an access token is required")
}

// InvalidToken is INVALID_TOKEN.
func InvalidToken() *Error {
	return New(Unauthenticated, "INVALID_TOKEN", "the access token is not valid")
}

// TokenExpired is TOKEN_EXPIRED.
func TokenExpired() *Error {
	return New(Unauthenticated, "TOKEN_EXPIRED", "the access token has expired")
}

// TokenRevoked is TOKEN_REVOKED.
func TokenRevoked() *Error {
	return New(Unauthenticated, "TOKEN_REVOKED", "the session has ended: sign in again")
}

// FreshSignInRequired is FRESH_SIGN_IN_REQUIRED.
func FreshSignInRequired() *Error {
	return New(Unauthenticated, "FRESH_SIGN_IN_REQUIRED", "this needs a sign-in that is at most 5 minutes old: sign in again, then repeat the request")
}

// KeysUnavailable is KEYS_UNAVAILABLE.
func KeysUnavailable() *Error {
	return New(Unavailable, "KEYS_UNAVAILABLE", "access tokens cannot be verified now")
}

// RevocationsStale is REVOCATIONS_STALE.
func RevocationsStale() *Error {
	return New(Unavailable, "REVOCATIONS_STALE", "ended sessions are not known now")
}

// AuthzUnavailable is AUTHZ_UNAVAILABLE.
func AuthzUnavailable() *Error {
	return New(Unavailable, "AUTHZ_UNAVAILABLE", "permissions cannot be checked now")
}

// ObjectNotFound is OBJECT_NOT_FOUND.
func ObjectNotFound() *Error {
	return New(NotFound, "OBJECT_NOT_FOUND", "no such object")
}

// CallerUnknown is CALLER_UNKNOWN.
func CallerUnknown() *Error {
	return New(PermissionDenied, "CALLER_UNKNOWN", "the calling program is not known")
}

// CallerNotAdmitted is CALLER_NOT_ADMITTED.
func CallerNotAdmitted() *Error {
	return New(PermissionDenied, "CALLER_NOT_ADMITTED",
		"the calling program may not call this method")
}

// MethodNotDeclared is METHOD_NOT_DECLARED.
func MethodNotDeclared() *Error {
	return New(PermissionDenied, "METHOD_NOT_DECLARED", "the method has no access rule")
}

// UpstreamUnavailable is UPSTREAM_UNAVAILABLE.
func UpstreamUnavailable() *Error {
	return New(Unavailable, "UPSTREAM_UNAVAILABLE", "a part of the platform cannot be reached now")
}

// CallDenied is CALL_DENIED.
func CallDenied() *Error {
	return New(Unavailable, "CALL_DENIED", "the mesh does not admit this call")
}

// RequestTooLarge is RESOURCE_EXHAUSTED (413).
func RequestTooLarge() *Error {
	return New(ResourceExhausted, "RESOURCE_EXHAUSTED",
		"the request is larger than what is accepted").WithHTTPStatus(413)
}

// UpstreamExhausted is RESOURCE_EXHAUSTED (503).
func UpstreamExhausted() *Error {
	return New(ResourceExhausted, "RESOURCE_EXHAUSTED",
		"a part of the platform cannot take more now").WithHTTPStatus(503)
}

// ShuttingDown is SHUTTING_DOWN.
func ShuttingDown() *Error {
	return New(Unavailable, "SHUTTING_DOWN", "the program is stopping: call again")
}

// NotReady is NOT_READY.
func NotReady() *Error {
	return New(Unavailable, "NOT_READY", "the program is not ready to serve")
}

// ETagMismatch is ETAG_MISMATCH.
func ETagMismatch() *Error {
	return New(Aborted, "ETAG_MISMATCH",
		"the resource has changed: read it again and repeat the change with its new etag")
}

// InvalidRelationship is INVALID_RELATIONSHIP.
func InvalidRelationship() *Error {
	return New(InvalidArgument, "INVALID_RELATIONSHIP", "this is not a relationship that can be")
}

// InvalidConsistencyToken is INVALID_CONSISTENCY_TOKEN.
func InvalidConsistencyToken() *Error {
	return New(InvalidArgument, "INVALID_CONSISTENCY_TOKEN",
		"this is not a consistency token: send one that a write answered with, unchanged, or none")
}

// NotFreshEnough is NOT_FRESH_ENOUGH.
func NotFreshEnough() *Error {
	return New(Unavailable, "NOT_FRESH_ENOUGH",
		"the write that the consistency token names is not visible yet")
}

// CursorExpired is CURSOR_EXPIRED.
func CursorExpired() *Error {
	return New(FailedPrecondition, "CURSOR_EXPIRED",
		"the cursor leads nowhere: it is too old, of another list or of another database; begin again without a cursor")
}

// DatabaseBusy is DATABASE_BUSY.
func DatabaseBusy() *Error {
	return New(Unavailable, "DATABASE_BUSY",
		"the request met another one on the same data; try again")
}

// DatabaseUnavailable is DATABASE_UNAVAILABLE.
func DatabaseUnavailable() *Error {
	return New(Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
}

// DatabaseFullOfLocks is DATABASE_FULL_OF_LOCKS.
func DatabaseFullOfLocks() *Error {
	return New(Unavailable, "DATABASE_FULL_OF_LOCKS",
		"nothing can be written: the server's lock table is full, find who holds many locks in pg_locks and end that session")
}

// SchemaOutdated is SCHEMA_OUTDATED.
func SchemaOutdated() *Error {
	return New(FailedPrecondition, "SCHEMA_OUTDATED",
		"a schema lacks what this program needs: run its migrations")
}

// SchemaNotReady is SCHEMA_OUTDATED of a program that waits for its migrations.
func SchemaNotReady() *Error {
	return New(Unavailable, "SCHEMA_OUTDATED", "a schema lacks what this program needs: run its migrations")
}

// OutboxStandsStill is OUTBOX_STANDS_STILL.
func OutboxStandsStill() *Error {
	return New(Unavailable, "OUTBOX_STANDS_STILL", "the outbox is not delivered")
}
