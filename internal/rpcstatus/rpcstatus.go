// Package rpcstatus turns the platform's errors (internal/apierr) into gRPC statuses and back. Who
// serves, calls or answers for gRPC imports it.
package rpcstatus

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// domain is the domain of every ErrorInfo of the platform (AIP-193).
const domain = "gatehouse.dev"

// FromError makes the status that a client sees: the public text, exactly one ErrorInfo, and
// BadRequest and RetryInfo where they apply. The cause stays here. A nil error is nil.
func FromError(err error) *status.Status {
	if err == nil {
		return nil
	}
	e := apierr.From(err)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: e.Reason, Domain: domain}}
	if len(e.Fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range e.Fields {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: f.Path, Reason: f.Rule, Description: f.Description,
			})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	st := status.New(code(e.Kind), e.Message)
	if full, err := st.WithDetails(details...); err == nil {
		return full
	}
	return st // a text that is not UTF-8: the code alone is still right
}

// ToError is the way back, for who called another program. A status without our ErrorInfo came from
// gRPC itself or from a sidecar: its text is not for clients, so it is replaced by a fixed one and
// kept as the cause. OK and nil are nil.
func ToError(st *status.Status) *apierr.Error {
	if st == nil || st.Code() == codes.OK {
		return nil
	}
	var (
		e     *apierr.Error
		retry *errdetails.RetryInfo
		bad   *errdetails.BadRequest
	)
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == domain {
				e = apierr.New(kind(st.Code()), d.GetReason(), st.Message())
			}
		case *errdetails.BadRequest:
			bad = d
		case *errdetails.RetryInfo:
			retry = d
		}
	}
	if e == nil {
		return foreign(st)
	}
	for _, v := range bad.GetFieldViolations() {
		e = e.WithField(v.GetField(), v.GetReason(), v.GetDescription())
	}
	if retry != nil {
		e = e.WithRetryAfter(retry.GetRetryDelay().AsDuration())
	}
	return e
}

// foreign replaces what gRPC or a sidecar said by what a client may learn.
func foreign(st *status.Status) *apierr.Error {
	k := kind(st.Code())
	reason, message := "INTERNAL", "an internal error occurred"
	switch k {
	case apierr.Unavailable:
		reason, message = "UPSTREAM_UNAVAILABLE", "a part of the platform cannot be reached now"
	case apierr.DeadlineExceeded:
		reason, message = "DEADLINE_EXCEEDED", "the request took too long"
	case apierr.Canceled:
		reason, message = "CANCELED", "the request was canceled"
	case apierr.ResourceExhausted:
		reason, message = "RESOURCE_EXHAUSTED", "the request is larger than what is accepted"
	case apierr.Unimplemented:
		reason, message = "UNIMPLEMENTED", "there is no such method"
	case apierr.PermissionDenied: // the callee's sidecar: no intention admits the call
		reason, message = "CALL_DENIED", "the mesh does not admit this call"
	default:
		k = apierr.Internal
	}
	return apierr.New(k, reason, message).Because(st.Err())
}

// Classify makes a member of the closed set of whatever a handler returned. A status can only be
// another program's answer that the handler passed on: that it could not be reached, or not in
// time, is this program's answer too, everything else is a defect here.
func Classify(ctx context.Context, err error) *apierr.Error {
	var own *apierr.Error
	if errors.As(err, &own) {
		return own
	}
	if st, ok := status.FromError(err); ok {
		passed := foreign(st)
		switch {
		case passed.Kind == apierr.Unavailable, passed.Kind == apierr.DeadlineExceeded:
			return passed
		case passed.Kind == apierr.Canceled && ctx.Err() != nil:
			return passed
		}
		return apierr.New(apierr.Internal, "INTERNAL", "an internal error occurred").Because(err)
	}
	return apierr.From(err)
}

func code(k apierr.Kind) codes.Code {
	switch k {
	case apierr.InvalidArgument:
		return codes.InvalidArgument
	case apierr.Unauthenticated:
		return codes.Unauthenticated
	case apierr.PermissionDenied:
		return codes.PermissionDenied
	case apierr.NotFound:
		return codes.NotFound
	case apierr.AlreadyExists:
		return codes.AlreadyExists
	case apierr.FailedPrecondition:
		return codes.FailedPrecondition
	case apierr.Aborted:
		return codes.Aborted
	case apierr.ResourceExhausted:
		return codes.ResourceExhausted
	case apierr.Unavailable:
		return codes.Unavailable
	case apierr.DeadlineExceeded:
		return codes.DeadlineExceeded
	case apierr.Canceled:
		return codes.Canceled
	case apierr.Unimplemented:
		return codes.Unimplemented
	default:
		return codes.Internal
	}
}

func kind(c codes.Code) apierr.Kind {
	for k := apierr.Internal; k <= apierr.Unimplemented; k++ {
		if code(k) == c {
			return k
		}
	}
	if c == codes.OutOfRange {
		return apierr.InvalidArgument
	}
	return apierr.Internal
}
