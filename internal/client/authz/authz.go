// Package authz is Authz as every other program calls it: the permissions that methods ask for, and
// the relationships that follow from what a program has committed.
//
// Only wiring and the stores that append relationships import it.
package authz

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Name is the mesh name of the program.
const Name = "authz"

// askTimeout bounds one question to Authz, the wait for a consistency token included: Authz answers
// NOT_FRESH_ENOUGH while a tenth of it is left. It is shorter than any call of ours that asks, so
// that the call still answers.
const askTimeout = 2 * time.Second

// Client is the client of Authz's AuthzService on a connection.
func Client(conn grpc.ClientConnInterface) authzv1.AuthzServiceClient {
	return authzv1.NewAuthzServiceClient(conn)
}

// Permissions asks Authz, all questions of a request in one BatchCheck.
func Permissions(c authzv1.AuthzServiceClient) access.Permissions { return permissions{c} }

type permissions struct{ authz authzv1.AuthzServiceClient }

// Allowed answers in the order of the questions. Errors are what Authz says, as apierr; the server
// that asks decides what of it is told.
func (p permissions) Allowed(ctx context.Context, subject string, asked []access.Question, token string) ([]bool, error) {
	request := &authzv1.BatchCheckRequest{Subject: subject, ConsistencyToken: token}
	for _, q := range asked {
		request.Questions = append(request.Questions, &authzv1.Question{Relation: q.Relation, Object: q.Object})
	}
	until, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	response, err := p.authz.BatchCheck(until, request)
	if err != nil {
		return nil, fmt.Errorf("ask Authz: %w", rpcstatus.ToError(status.Convert(err)))
	}
	return response.GetAllowed(), nil
}
