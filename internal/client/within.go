package client

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// Within returns a connection of a program to its own server, on which dial leads there without a
// port. Calls tell which request they belong to, and where it came from, as others do. Their
// deadlines are the server's, and nothing is tried again.
func Within(dial func(context.Context, string) (net.Conn, error), o Options) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("passthrough:///itself", slices.Concat(o.observed(), []grpc.DialOption{
		grpc.WithContextDialer(dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // it never leaves the process
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithChainUnaryInterceptor(unaryHandOn),
		grpc.WithChainStreamInterceptor(streamHandOn),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second},
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(contract.MaxMessage), grpc.MaxCallSendMsgSize(contract.MaxMessage)),
	}, o.Dial)...)
	if err != nil {
		return nil, fmt.Errorf("connect to oneself: %w", err)
	}
	return conn, nil
}
