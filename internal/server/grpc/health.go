package grpcserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/health"
)

// healthService answers the gRPC health checking protocol (github.com/grpc/grpc,
// doc/health-checking.md) from the program's health. Consul calls Check every 2 s.
type healthService struct {
	healthpb.UnimplementedHealthServer
	health *health.Health
}

// Check says whether the program, "", or one of its services can be called. An unknown service is
// NOT_FOUND.
func (s healthService) Check(_ context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	serving, known := s.health.Serving(r.GetService())
	if !known {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return answer(serving), nil
}

// List says that of the program and all its services.
func (s healthService) List(context.Context, *healthpb.HealthListRequest) (*healthpb.HealthListResponse, error) {
	all := map[string]*healthpb.HealthCheckResponse{}
	for _, service := range s.health.Services() {
		serving, _ := s.health.Serving(service)
		all[service] = answer(serving)
	}
	return &healthpb.HealthListResponse{Statuses: all}, nil
}

// Watch says that of one service at once and at every change, an unknown one's too, which may
// appear. It ends with the client or with the drain, after NOT_SERVING.
func (s healthService) Watch(r *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	told := healthpb.HealthCheckResponse_UNKNOWN // which nothing is
	for {
		changed := s.health.Changed() // before the look: what changes after it is seen
		now := answer(false)
		if serving, known := s.health.Serving(r.GetService()); known {
			now = answer(serving)
		} else {
			now.Status = healthpb.HealthCheckResponse_SERVICE_UNKNOWN
		}
		if now.GetStatus() != told {
			if err := stream.Send(now); err != nil {
				return err
			}
			told = now.GetStatus()
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

func answer(serving bool) *healthpb.HealthCheckResponse {
	if serving {
		return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING}
	}
	return &healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_NOT_SERVING}
}
