package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Decider is the mesh name of the program that decides who may do what.
const Decider = "authz"

// askTimeout bounds one question to Authz, the wait for a consistency token included. It is shorter than any call of ours that asks, so
// that the call still answers.
const askTimeout = 2 * time.Second

// Authz is the client of Authz's AuthzService on a connection.
func Authz(conn grpc.ClientConnInterface) authzv1.AuthzServiceClient {
	return authzv1.NewAuthzServiceClient(conn)
}

// Permissions asks Authz, all questions of a request in one BatchCheck.
func Permissions(c authzv1.AuthzServiceClient) grpcserver.Permissions { return permissions{c} }

type permissions struct{ authz authzv1.AuthzServiceClient }

// Allowed answers in the order of the questions. Errors are apierr: UNAVAILABLE NOT_FRESH_ENOUGH when the state that the token names is
// not reached in time, UNAVAILABLE AUTHZ_UNAVAILABLE when Authz is not reached in time, else what Authz says.
func (p permissions) Allowed(ctx context.Context, subject string, asked []grpcserver.Question, token string) ([]bool, error) {
	request := &authzv1.BatchCheckRequest{Subject: subject, ConsistencyToken: token}
	for _, q := range asked {
		request.Questions = append(request.Questions, &authzv1.Question{Relation: q.Relation, Object: q.Object})
	}
	until, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := p.authz.BatchCheck(until, request)
	switch {
	case err == nil:
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.Canceled): // the asker has gone
		return nil, fmt.Errorf("ask Authz: %w", ctx.Err())
	default:
		return nil, notAsked(err)
	}
	if len(answer.GetAllowed()) != len(asked) {
		return nil, apierr.New(apierr.Internal, "INTERNAL", "an internal error occurred").
			Because(fmt.Errorf("ask Authz: %d answers to %d questions", len(answer.GetAllowed()), len(asked)))
	}
	return answer.GetAllowed(), nil
}

// notAsked makes a member of the closed set of a failed question.
func notAsked(err error) error {
	e := grpcserver.FromStatus(status.Convert(err))
	switch {
	case e.Kind == apierr.Unavailable && e.Reason == "NOT_FRESH_ENOUGH":
		return e
	case e.Kind == apierr.Unavailable, e.Kind == apierr.DeadlineExceeded, e.Kind == apierr.PermissionDenied:
		return apierr.New(apierr.Unavailable, "AUTHZ_UNAVAILABLE", "permissions cannot be checked now").
			WithRetryAfter(time.Second).Because(fmt.Errorf("ask Authz: %w", err))
	}
	return e.Because(fmt.Errorf("ask Authz: %w", err))
}
