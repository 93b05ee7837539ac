package rpcstatus

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Every member of the closed set survives the way to another program.
func TestStatusRoundTrip(t *testing.T) {
	for k := apierr.Internal; k <= apierr.Unimplemented; k++ {
		want := apierr.New(k, "SOME_REASON", "a text").WithField("user.name", "string.min_len", "say one").WithRetryAfter(1500 * time.Millisecond)
		st := FromError(want.Because(errors.New("hidden")))
		infos := 0
		for _, d := range st.Details() {
			if _, ok := d.(*errdetails.ErrorInfo); ok {
				infos++
			}
		}
		if infos != 1 {
			t.Errorf("kind %d has %d ErrorInfos, want exactly one (AIP-193)", k, infos)
		}
		if got := ToError(st); !reflect.DeepEqual(got, want) {
			t.Errorf("kind %d comes back as %+v", k, got)
		}
	}
}

// What gRPC itself refuses for its size is the client's doing or the platform's, by who refused.
func TestForeignSizes(t *testing.T) {
	for text, want := range map[string]int{
		"grpc: received message larger than max (5000000 vs. 4194304)":       413,
		"grpc: received message after decompression larger than max 4194304": 413,
		"grpc: trying to send message larger than max (5000000 vs. 4194304)": 500,
		"trying to send message larger than max (5000000 vs. 4194304)":       500,
		"header list size to send violates the maximum size set by server":   503,
	} {
		got := ToError(status.New(codes.ResourceExhausted, text))
		if got.Status() != want || got.Message == text {
			t.Errorf("%s: %d %s", text, got.Status(), got.Reason)
		}
	}
	// Another program's exhaustion is not the limit of who asks this one.
	if got := Classify(t.Context(), status.Error(codes.ResourceExhausted, "x")); got.Status() != 503 {
		t.Errorf("passed on as %d %s", got.Status(), got.Reason)
	}
}

// A call that no intention admits is the operator's to fix: 503 to the user.
func TestCallDeniedIsUnavailable(t *testing.T) {
	st := status.New(codes.PermissionDenied, "RBAC: access denied")
	if got := ToError(st); got.Reason != "CALL_DENIED" || got.Status() != 503 {
		t.Errorf("%s, %d", got.Reason, got.Status())
	}
	if got := Classify(t.Context(), st.Err()); got.Reason != "CALL_DENIED" || got.Status() != 503 {
		t.Errorf("a handler's answer is %s, %d", got.Reason, got.Status())
	}
}

// What gRPC or a sidecar says is replaced; only its code counts.
func TestForeignStatus(t *testing.T) {
	for _, c := range []struct {
		code   codes.Code
		kind   apierr.Kind
		reason string
	}{
		{codes.Unavailable, apierr.Unavailable, "UPSTREAM_UNAVAILABLE"},
		{codes.PermissionDenied, apierr.Unavailable, "CALL_DENIED"},
		{codes.DeadlineExceeded, apierr.DeadlineExceeded, "DEADLINE_EXCEEDED"},
		{codes.Unimplemented, apierr.Unimplemented, "UNIMPLEMENTED"},
		{codes.ResourceExhausted, apierr.ResourceExhausted, "RESOURCE_EXHAUSTED"},
		{codes.Canceled, apierr.Canceled, "CANCELED"},
		{codes.InvalidArgument, apierr.Internal, "INTERNAL"},
		{codes.Unauthenticated, apierr.Internal, "INTERNAL"},
		{codes.Unknown, apierr.Internal, "INTERNAL"},
		{codes.DataLoss, apierr.Internal, "INTERNAL"},
	} {
		st := status.New(c.code, "RBAC: access denied by 10.0.0.1")
		foreignInfo, err := st.WithDetails(&errdetails.ErrorInfo{Reason: "USER_NOT_FOUND", Domain: "elsewhere.example"})
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range []*status.Status{st, foreignInfo} {
			got := ToError(st)
			if got.Kind != c.kind || got.Reason != c.reason || got.Message == st.Message() {
				t.Errorf("%s becomes %+v", c.code, got)
			}
			if errors.Unwrap(got) == nil {
				t.Errorf("%s: the cause is lost", c.code)
			}
		}
	}
	if ToError(nil) != nil || ToError(status.New(codes.OK, "")) != nil || FromError(nil) != nil {
		t.Error("no error becomes one")
	}
}

// What a handler returned becomes a member of the closed set; only what another program's absence
// caused is passed on.
func TestClassify(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx    context.Context
		err    error
		reason string
	}{
		"its own":               {t.Context(), fmt.Errorf("x: %w", apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no")), "USER_NOT_FOUND"},
		"not reached":           {t.Context(), status.Error(codes.Unavailable, "x"), "UPSTREAM_UNAVAILABLE"},
		"not in time":           {t.Context(), status.Error(codes.DeadlineExceeded, "x"), "DEADLINE_EXCEEDED"},
		"canceled by us":        {t.Context(), status.Error(codes.Canceled, "x"), "INTERNAL"},
		"canceled by who left":  {gone, status.Error(codes.Canceled, "x"), "CANCELED"},
		"another's answer":      {t.Context(), status.Error(codes.NotFound, "x"), "INTERNAL"},
		"an unknown":            {t.Context(), errors.New("x"), "INTERNAL"},
		"the end of a deadline": {t.Context(), context.DeadlineExceeded, "DEADLINE_EXCEEDED"},
	} {
		if got := Classify(c.ctx, c.err); got.Reason != c.reason {
			t.Errorf("%s: %s, want %s", name, got.Reason, c.reason)
		}
	}
	if got := ToError(status.New(codes.OutOfRange, "x")); got.Kind != apierr.Internal {
		t.Errorf("a code that we never send becomes %+v", got)
	}
}
