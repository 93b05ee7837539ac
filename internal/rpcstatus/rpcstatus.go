// Package rpcstatus turns the platform's errors (internal/apierr) into gRPC statuses and back. Who
// serves, calls or answers for gRPC imports it.
package rpcstatus

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// domain is the domain of every ErrorInfo of the platform (AIP-193).
const domain = "gatehouse.dev"

// Metadata of ErrorInfo.
const (
	statusKey     = "http_status" // where it is not that of the code
	violationsKey = "violations"  // how many there are, where BadRequest has only the first
)

// ToError is the way back, for who called another program. A status without our ErrorInfo came from
// gRPC itself or from a sidecar: its text is not for clients, so it is replaced by a fixed one and
// kept as the cause. OK and nil are nil.
func ToError(st *status.Status) *apierr.Error {
	if st == nil || st.Code() == codes.OK {
		return nil
	}
	var e *apierr.Error
	details := st.Details()
	for _, d := range details {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			e = apierr.New(kind(st.Code()), info.GetReason(), st.Message())
			e.HTTPStatus, e.Violations = number(info, statusKey, 400, 599), number(info, violationsKey, 1, math.MaxInt32)
		}
	}
	if e == nil {
		return foreign(st)
	}
	for _, d := range details {
		read(e, d)
	}
	return e
}

// read takes over what a detail says.
func read(e *apierr.Error, detail any) {
	switch d := detail.(type) {
	case *errdetails.BadRequest:
		for _, v := range d.GetFieldViolations() {
			e.Fields = append(e.Fields, apierr.Field{Path: v.GetField(), Rule: v.GetReason(), Description: v.GetDescription()})
		}
	case *errdetails.RetryInfo:
		e.RetryAfter = d.GetRetryDelay().AsDuration()
	case *errdetails.PreconditionFailure:
		for _, v := range d.GetViolations() {
			e.Subject = v.GetSubject()
		}
	case *errdetails.QuotaFailure:
		for _, v := range d.GetViolations() {
			e.Subject = v.GetSubject()
		}
	}
}

// number is an entry of the metadata within bounds; 0 for none.
func number(info *errdetails.ErrorInfo, key string, least, most int) int {
	n, err := strconv.Atoi(info.GetMetadata()[key])
	if err != nil || n < least || n > most {
		return 0
	}
	return n
}

// foreign replaces what gRPC or a sidecar said by what a client may learn.
func foreign(st *status.Status) *apierr.Error {
	return meaning(st).Because(st.Err())
}

func meaning(st *status.Status) *apierr.Error {
	switch kind(st.Code()) {
	case apierr.Unavailable:
		return apierr.UpstreamUnavailable()
	case apierr.DeadlineExceeded:
		return apierr.DeadlineExceededError()
	case apierr.Canceled:
		return apierr.CanceledError()
	case apierr.ResourceExhausted:
		return exhausted(st)
	case apierr.Unimplemented:
		return apierr.UnimplementedError()
	case apierr.PermissionDenied: // the callee's sidecar: no intention admits the call
		return apierr.CallDenied()
	default:
		return apierr.InternalError()
	}
}

// exhausted tells by gRPC's own words (google.golang.org/grpc, server.go and rpc_util.go) what was
// too large. Servers and clients of the platform have one limit, so what is too large is refused by
// whoever sends it: an answer by its server, whose defect it is. A request that a server refuses
// comes from somebody else's client.
func exhausted(st *status.Status) *apierr.Error {
	switch text := st.Message(); {
	case strings.Contains(text, "trying to send message larger than max"):
		return apierr.InternalError()
	case strings.Contains(text, "received message larger than max"), strings.Contains(text, "message after decompression larger than max"):
		return apierr.RequestTooLarge()
	default:
		return apierr.UpstreamExhausted()
	}
}

// Classify makes a member of the closed set of whatever a handler returned. A status can only be
// another program's answer that the handler passed on: that it could not be reached, or not in
// time, is this program's answer too, everything else is a defect here.
func Classify(ctx context.Context, err error) *apierr.Error {
	var own *apierr.Error
	if errors.As(err, &own) {
		return own
	}
	st, ok := status.FromError(err)
	if !ok {
		return apierr.From(err)
	}
	switch passed := foreign(st); {
	case passed.Kind == apierr.Unavailable, passed.Kind == apierr.DeadlineExceeded, passed.Is(apierr.CanceledError()) && ctx.Err() != nil:
		return passed
	case passed.Kind == apierr.ResourceExhausted && passed.Status() == apierr.UpstreamExhausted().Status():
		return apierr.UpstreamUnavailable().Because(err)
	default:
		return apierr.InternalError().Because(err)
	}
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
