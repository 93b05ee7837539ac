package client

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A reset is the absence of a program, unless we canceled; what a program says stays.
func TestReset(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	const said = "stream terminated by RST_STREAM with error code: INTERNAL_ERROR"
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want codes.Code
	}{
		"no error":          {t.Context(), nil, codes.OK},
		"a reset":           {t.Context(), status.Error(codes.Internal, said), codes.Unavailable},
		"a reset by CANCEL": {t.Context(), status.Error(codes.Canceled, said), codes.Unavailable},
		"canceled here":     {canceled, status.Error(codes.Canceled, said), codes.Canceled},
		"another's defect":  {t.Context(), status.Error(codes.Internal, "an internal error occurred"), codes.Internal},
		"too much for them": {t.Context(), status.Error(codes.ResourceExhausted, said), codes.ResourceExhausted},
		"not gRPC's at all": {t.Context(), context.DeadlineExceeded, codes.Unknown},
	} {
		if got := status.Code(reset(c.ctx, c.err)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
