package client

import (
	"context"
	"fmt"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What gRPC makes of the last response of a call that it tried again is told as that response.
func TestAnswersBehindRetries(t *testing.T) {
	const around = "max retries exhausted: failed after 3 attempts: %w"
	for name, c := range map[string]struct {
		err  error
		want codes.Code
	}{
		"answered":             {nil, codes.OK},
		"a status":             {status.Error(codes.NotFound, "x"), codes.NotFound},
		"a status, tried":      {fmt.Errorf(around, status.Error(codes.Unavailable, "x")), codes.Unavailable},
		"ended before writing": {fmt.Errorf(around, io.EOF), codes.Unavailable},
	} {
		err := answered(t.Context(), "", nil, nil, nil, func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return c.err })
		if got := status.Code(err); got != c.want {
			t.Errorf("%s: %s, want %s: %v", name, got, c.want, err)
		}
	}
}
