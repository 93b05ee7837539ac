package api

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// mostRevocations keeps a message below gRPC's 4 MiB; a larger set continues in the next message.
const mostRevocations = 50_000

// WatchRevocations sends the ended sessions until the client leaves.
func (s *VerificationService) WatchRevocations(_ *authv1.WatchRevocationsRequest, stream grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
	follower, stop := s.feed.Follow()
	defer stop()
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case _, ok := <-follower.Ready():
			if !ok {
				return reason.TooSlow()
			}
			updates, _ := follower.Take()
			for _, update := range updates {
				if err := sendRevocations(stream, update); err != nil {
					return err
				}
			}
		}
	}
}

// sendRevocations sends one update in as many messages as it takes, an empty one as an empty message. The last one completes it.
func sendRevocations(stream grpc.ServerStreamingServer[authv1.WatchRevocationsResponse], update session.Update) error {
	for {
		part := update[:min(len(update), mostRevocations)]
		update = update[len(part):]
		resp := &authv1.WatchRevocationsResponse{Revocations: make([]*authv1.Revocation, len(part)), Complete: len(update) == 0}
		for i, r := range part {
			resp.Revocations[i] = &authv1.Revocation{SessionId: r.SessionID, ExpireTime: timestamppb.New(r.ExpireTime)}
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
		if len(update) == 0 {
			return nil
		}
	}
}
