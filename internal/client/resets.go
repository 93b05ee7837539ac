package client

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// resetText is how gRPC begins what it says of a stream that was reset.
const resetText = "stream terminated by RST_STREAM"

// reset makes UNAVAILABLE of a stream that ended by a reset instead of a status: a sidecar does
// that to what was begun when a program or a connection on the way dies. gRPC says INTERNAL, or
// CANCELED although nobody here canceled, and clients would be told of a defect.
func reset(ctx context.Context, err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok || ctx.Err() != nil || !strings.HasPrefix(st.Message(), resetText) ||
		st.Code() != codes.Internal && st.Code() != codes.Canceled {
		return err
	}
	return status.Error(codes.Unavailable, st.Message())
}

func unaryReset(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return reset(ctx, invoker(ctx, method, req, reply, cc, opts...))
}

func streamReset(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, reset(ctx, err)
	}
	return &resetStream{stream, ctx}, nil
}

// resetStream tells of resets as reset does.
type resetStream struct {
	grpc.ClientStream
	caller context.Context // the stream's own ends with it, whoever ended it
}

// RecvMsg receives the next message, or the end of the stream.
func (s *resetStream) RecvMsg(m any) error { return reset(s.caller, s.ClientStream.RecvMsg(m)) }
