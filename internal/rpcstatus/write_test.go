package rpcstatus

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Whatever an error has to say, its status has at most 8 KiB as it is sent, and says how many
// violations there were.
func TestStatusesAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"short": "x", "ordinary": "must be a valid UUID, in lower case", "long": strings.Repeat("a", 1<<20),
		"wide": strings.Repeat("\U0001f511", 1<<18), "not UTF-8": strings.Repeat("\xff", 1<<18), "control codes": strings.Repeat("\x01", 1<<18),
	} {
		for _, count := range []int{1, 2, 40, 600, 100_000} {
			e := apierr.InvalidArgumentError().Saying(text).About(text).WithRetryAfter(time.Second)
			for i := range count {
				e.Fields = append(e.Fields, apierr.Field{Path: fmt.Sprintf("writes[%d]%.300s", i, text), Rule: text, Description: text})
			}
			for _, kind := range []apierr.Kind{apierr.InvalidArgument, apierr.FailedPrecondition, apierr.ResourceExhausted} {
				e.Kind = kind
				st := FromError(e)
				if n := size(st); n > maxStatus {
					t.Errorf("%s, %d fields, %s: %d bytes", name, count, kind, n)
				}
				got := ToError(st)
				if got.Reason != e.Reason || got.Kind != kind || got.Message == "" || len(got.Fields) == 0 && kind == apierr.InvalidArgument || !utf8.ValidString(got.Message) {
					t.Fatalf("%s, %d fields: %s with %d fields", name, count, got.Reason, len(got.Fields))
				}
				if all := max(len(got.Fields), got.Violations); all != count {
					t.Errorf("%s: %d of %d violations, and says that there are %d", name, len(got.Fields), count, got.Violations)
				}
				if passed := ToError(FromError(got)); passed.Violations != got.Violations || len(passed.Fields) != len(got.Fields) {
					t.Errorf("%s: the next program passes on %d of %d", name, len(passed.Fields), passed.Violations)
				}
			}
		}
	}
}

// Ordinary refusals are whole: the bound is for the others.
func TestFiftyViolationsAreWhole(t *testing.T) {
	e := apierr.InvalidArgumentError()
	for i := range 50 {
		e = e.WithField(fmt.Sprintf("writes[%d].object", i), "string.pattern", "value does not match the pattern")
	}
	if got := ToError(FromError(e)); len(got.Fields) != 50 || got.Violations != 0 {
		t.Errorf("%d fields of %d", len(got.Fields), got.Violations)
	}
}

// A failed precondition and a limit are named in gRPC's own words, and their subject comes back.
func TestSubjects(t *testing.T) {
	last := apierr.New(apierr.FailedPrecondition, "LAST_OWNER", "the last owner stays").About("organization:1")
	var precondition *errdetails.PreconditionFailure
	for _, d := range FromError(last).Details() {
		if d, ok := d.(*errdetails.PreconditionFailure); ok {
			precondition = d
		}
	}
	if v := precondition.GetViolations(); len(v) != 1 || v[0].GetType() != "LAST_OWNER" || v[0].GetSubject() != "organization:1" || v[0].GetDescription() != last.Message {
		t.Errorf("the precondition is %v", precondition)
	}
	limit := apierr.RateLimited().About("user")
	var quota *errdetails.QuotaFailure
	for _, d := range FromError(limit).Details() {
		if d, ok := d.(*errdetails.QuotaFailure); ok {
			quota = d
		}
	}
	if v := quota.GetViolations(); len(v) != 1 || v[0].GetSubject() != "user" || v[0].GetDescription() != limit.Message {
		t.Errorf("the limit is %v", quota)
	}
	for _, e := range []*apierr.Error{last, limit} {
		if got := ToError(FromError(e)); got.Subject != e.Subject {
			t.Errorf("%s comes back about %q", e.Reason, got.Subject)
		}
	}
}

// The status over HTTP travels where the reason has another one than its kind; nobody can make an
// answer a success by it.
func TestHTTPStatusTravels(t *testing.T) {
	if got := ToError(FromError(apierr.CallerRateLimited())); got.Status() != 503 || FromError(got).Code() != codes.ResourceExhausted {
		t.Errorf("%d", got.Status())
	}
	for _, status := range []int{200, 399, 600, -1} {
		if got := ToError(FromError(apierr.RateLimited().WithHTTPStatus(status))); got.Status() != 429 {
			t.Errorf("status %d is taken over as %d", status, got.Status())
		}
	}
}
