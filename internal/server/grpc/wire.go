package grpcserver

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// wire is the stream below all middlewares. What it sends and receives ends with the context by
// which the handler runs: gRPC's own ends only with the connection or the client, so a handler
// would wait beyond its deadline, its token or the drain for a client that does not read or send.
type wire struct {
	grpc.ServerStream
	ctx context.Context // a ServerStream is how gRPC hands over the context
	rpc *rpc

	sent, received chan error // how a transfer ended
}

// Context returns the context with the state of the RPC.
func (w *wire) Context() context.Context { return w.ctx }

// SendMsg sends the next message. It is encoded before anybody waits, so that the handler may use
// it again whatever becomes of the transfer.
func (w *wire) SendMsg(m any) error {
	encoded := &grpc.PreparedMsg{}
	if err := encoded.Encode(w.ServerStream, m); err != nil {
		return err
	}
	return w.transfer(send, &w.sent, encoded)
}

// RecvMsg receives the next message. One that was interrupted may still be written to until the
// handler has returned: it is not to be read.
func (w *wire) RecvMsg(m any) error { return w.transfer(receive, &w.received, m) }

func send(s grpc.ServerStream, m any) error    { return s.SendMsg(m) }
func receive(s grpc.ServerStream, m any) error { return s.RecvMsg(m) }

// transfer moves one message, or returns the error of the handler's context when that ends first.
// The handler then returns, and gRPC, which ends the stream, releases the goroutine that waits.
// Each message has a goroutine of its own: one for all would hold its stack while nothing moves.
func (w *wire) transfer(move func(grpc.ServerStream, any) error, moved *chan error, m any) error {
	until := w.rpc.until
	if err := until.Err(); err != nil {
		return err
	}
	if *moved == nil {
		*moved = make(chan error, 1)
	}
	go carry(w.ServerStream, move, m, *moved)
	select {
	case err := <-*moved:
		return err
	case <-until.Done(): // for good: nobody looks for the end of this transfer
		return until.Err()
	}
}

func carry(s grpc.ServerStream, move func(grpc.ServerStream, any) error, m any, moved chan<- error) {
	var err error
	defer func() { moved <- err }()
	defer apierr.Recover(&err)
	err = move(s, m)
}

// begin puts the stream below all middlewares.
func begin() link {
	return link{stream: func(c *rpc, ss grpc.ServerStream) (grpc.ServerStream, error) {
		c.stream, c.until = true, ss.Context()
		return &wire{ServerStream: ss, ctx: ss.Context(), rpc: c}, nil
	}}
}

// interrupt lets what a stream sends and receives end with the context that its handler has.
func interrupt() link {
	return link{stream: func(c *rpc, ss grpc.ServerStream) (grpc.ServerStream, error) {
		c.until = ss.Context()
		return ss, nil
	}}
}
