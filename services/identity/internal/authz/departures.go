package authz

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// reserveTimeout bounds the question.
const reserveTimeout = 3 * time.Second

// Departures asks before deletions and suspensions; it is user.Departures.
type Departures struct{ client authzv1.AuthzServiceClient }

// NewDepartures returns the adapter over a client.
func NewDepartures(client authzv1.AuthzServiceClient) *Departures { return &Departures{client: client} }

// Reserve implements user.Departures. When Authz does not answer, the error is UNAVAILABLE
// (AUTHZ_UNAVAILABLE).
func (d *Departures) Reserve(ctx context.Context, u user.User, ends bool, by event.Event) error {
	return d.reserve(ctx, u, ends, 0, by)
}

// ReserveSuspension implements user.Departures. When Authz does not answer, the error is
// UNAVAILABLE (AUTHZ_UNAVAILABLE).
func (d *Departures) ReserveSuspension(ctx context.Context, u user.User, alone bool, revision int64, by event.Event) error {
	return d.reserve(ctx, u, alone, revision, by)
}

func (d *Departures) reserve(ctx context.Context, u user.User, ends bool, suspension int64, by event.Event) error {
	r := &authzv1.ReserveDepartureRequest{UserId: u.ID, SuspensionRevision: suspension, Origin: origin(by.Clean())}
	if ends {
		r.EndingOrganizationId = u.OrganizationID
	}
	call, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	_, err := d.client.ReserveDeparture(call, r)
	return rpcstatus.FromCallee(ctx, err, apierr.AuthzUnavailable().WithRetryAfter(time.Second),
		reason.LastAdministrator(), reason.LastOwner(), reason.RelationshipsTooDeep(), apierr.NotFreshEnough(), apierr.InvalidConsistencyToken())
}

// Settle implements user.Departures.
func (d *Departures) Settle(ctx context.Context, told user.Standing) error {
	call, cancel := context.WithTimeout(ctx, reserveTimeout)
	defer cancel()
	_, err := d.client.SettleSuspension(call, &authzv1.SettleSuspensionRequest{
		UserId: told.UserID, Revision: told.Revision, Suspended: told.Suspended,
	})
	return rpcstatus.FromCallee(ctx, err, apierr.AuthzUnavailable().WithRetryAfter(time.Second))
}

// origin is the request behind a change, nil when the change has none.
func origin(e event.Event) *authzv1.Origin {
	if e.Action == "" {
		return nil
	}
	return &authzv1.Origin{ActorType: e.Actor.Type, ActorId: e.Actor.ID, RequestId: e.RequestID, TraceId: e.TraceID}
}
