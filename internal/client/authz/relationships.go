package authz

import (
	"context"
	"fmt"

	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Relationships delivers the Topic to Authz, one change after the other: a removal of everything
// about an object must find what was written before it under other keys. The id of a message is the
// id of its change, so that one that comes again has no further effect.
func Relationships(c authzv1.AuthzServiceClient) outbox.Deliver {
	return func(ctx context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
		var poison []outbox.Poison
		for _, m := range batch {
			change, err := ParseChange(m.Payload)
			if err != nil {
				poison = append(poison, outbox.Poison{ID: m.ID, Reason: err.Error()})
				continue
			}
			_, err = c.WriteRelationships(ctx, requestOf(m.ID, change))
			switch e := rpcstatus.ToError(status.Convert(err)); {
			case err == nil:
			case hopeless(e):
				poison = append(poison, outbox.Poison{ID: m.ID, Reason: e.Error()})
			default:
				return poison, fmt.Errorf("write relationships: %w", err)
			}
		}
		return poison, nil
	}
}

// hopeless reports whether Authz will never accept the change. That a contract does not admit the
// call is not one of these: that is fixed without the message.
func hopeless(e *apierr.Error) bool {
	switch e.Kind {
	case apierr.InvalidArgument, apierr.FailedPrecondition, apierr.AlreadyExists, apierr.NotFound:
		return true
	case apierr.PermissionDenied:
		return !e.Is(apierr.CallerNotAdmitted()) && !e.Is(apierr.CallerUnknown()) && !e.Is(apierr.MethodNotDeclared())
	default:
		return false
	}
}

func requestOf(id string, c Change) *authzv1.WriteRelationshipsRequest {
	r := &authzv1.WriteRelationshipsRequest{
		Id: id, Writes: relationships(c.Change.Writes), Deletes: relationships(c.Change.Deletes), DeleteAllOf: c.Change.DeleteAllOf,
	}
	if c.Origin.ActorType != "" {
		r.Origin = &authzv1.Origin{
			ActorType: c.Origin.ActorType, ActorId: c.Origin.ActorID, RequestId: c.Origin.RequestID, TraceId: c.Origin.TraceID,
		}
	}
	return r
}

func relationships(tuples []relation.Tuple) []*authzv1.Relationship {
	var all []*authzv1.Relationship
	for _, t := range tuples {
		all = append(all, &authzv1.Relationship{Object: t.Object, Relation: t.Relation, Subject: t.Subject})
	}
	return all
}
