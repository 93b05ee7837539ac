package rpcstatus

import (
	"encoding/base64"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Bounds of a status in bytes. It travels in trailers, which sidecars and clients limit: gRPC for
// Java takes 8 KiB of them (GrpcUtil.DEFAULT_MAX_HEADER_LIST_SIZE), and what is beyond becomes
// UNAVAILABLE or INTERNAL on the way. Half a KiB is for names and for what else a trailer has.
const (
	maxStatus      = 8<<10 - 512 // of grpc-message and grpc-status-details-bin together, as they are sent
	maxMessage     = 1 << 10
	maxPath        = 256
	maxRule        = 128
	maxDescription = 1 << 10
)

// FromError makes the status that a client sees: the public text, exactly one ErrorInfo, and
// BadRequest, PreconditionFailure, QuotaFailure and RetryInfo where they apply. Of many violations
// it has the first, and their number. The cause stays here. A nil error is nil.
func FromError(err error) *status.Status {
	if err == nil {
		return nil
	}
	e := apierr.From(err)
	st := status.New(code(e.Kind), cut(e.Message, maxMessage))
	info := &errdetails.ErrorInfo{Reason: e.Reason, Domain: domain}
	if e.HTTPStatus != 0 {
		note(info, statusKey, e.HTTPStatus)
	}
	details := []protoadapt.MessageV1{info}
	if failure := failed(e); failure != nil {
		details = append(details, failure)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	if all := max(len(e.Fields), e.Violations); all > 0 {
		note(info, violationsKey, all)
		bad := violations(e.Fields, maxStatus-size(with(st, details)))
		if len(bad.GetFieldViolations()) == all {
			delete(info.Metadata, violationsKey)
		}
		details = append(details, bad)
	}
	return with(st, details)
}

// failed names the precondition that does not hold, or the limit that is reached.
func failed(e *apierr.Error) protoadapt.MessageV1 {
	subject, text := cut(e.Subject, maxPath), cut(e.Message, maxMessage)
	switch e.Kind {
	case apierr.FailedPrecondition:
		return &errdetails.PreconditionFailure{Violations: []*errdetails.PreconditionFailure_Violation{
			{Type: e.Reason, Subject: subject, Description: text},
		}}
	case apierr.ResourceExhausted:
		return &errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: subject, Description: text}}}
	default:
		return nil
	}
}

// violations are the first of the fields, as many as have room in what is sent.
func violations(fields []apierr.Field, room int) *errdetails.BadRequest {
	const envelope = 80 // the type's name and the lengths around the message
	room = base64.RawStdEncoding.DecodedLen(room) - envelope
	bad := &errdetails.BadRequest{}
	for _, f := range fields {
		v := &errdetails.BadRequest_FieldViolation{
			Field: cut(f.Path, maxPath), Reason: cut(f.Rule, maxRule), Description: cut(f.Description, maxDescription),
		}
		const tag = 3 // of a message of less than 16 KiB
		if room -= proto.Size(v) + tag; room < 0 {
			break
		}
		bad.FieldViolations = append(bad.FieldViolations, v)
	}
	return bad
}

func note(info *errdetails.ErrorInfo, key string, n int) {
	if info.Metadata == nil {
		info.Metadata = map[string]string{}
	}
	info.Metadata[key] = strconv.Itoa(n)
}

// with adds the details. They are ours and always marshal.
func with(st *status.Status, details []protoadapt.MessageV1) *status.Status {
	full, err := st.WithDetails(details...)
	if err != nil {
		return st
	}
	return full
}

// size is what a status takes of the trailers: grpc-message is percent-encoded outside of printable
// ASCII, grpc-status-details-bin is base64 (gRPC over HTTP/2).
func size(st *status.Status) int {
	n := base64.RawStdEncoding.EncodedLen(proto.Size(st.Proto()))
	for _, c := range []byte(st.Message()) {
		if c < ' ' || c > '~' || c == '%' {
			n += 2
		}
		n++
	}
	return n
}

// cut makes a text valid UTF-8 of at most so many bytes, the last of which then are an ellipsis.
func cut(text string, most int) string {
	whole := len(text) <= most
	text = strings.ToValidUTF8(text[:min(most, len(text))], "\uFFFD")
	if whole && len(text) <= most {
		return text
	}
	const ellipsis = "…"
	end := min(most-len(ellipsis), len(text))
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}
