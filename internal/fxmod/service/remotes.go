package service

import (
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

// gatherEvents makes one delivery of what a busy program records in so short a time: each one costs
// Audit a transaction, and both sides a dozen ways through their sidecars. Who follows the trail
// sees an event as much later.
const gatherEvents = 50 * time.Millisecond

// RemoteAudit delivers the events of the outbox to Audit through the mesh. The program's proto must
// declare the call of Ingest.
func RemoteAudit() fx.Option {
	return AsRoute(func(conns *client.Conns) (outbox.Route, error) {
		conn, err := conns.Conn(audit.Name)
		if err != nil {
			return outbox.Route{}, fmt.Errorf("deliver events: %w", err)
		}
		return outbox.Route{
			Topic: audit.Topic, Deliver: audit.Events(audit.Ingest(conn)), Gather: outbox.GatherFor(gatherEvents),
		}, nil
	})
}

// RemoteRelationships delivers the relationships of the outbox to Authz through the mesh. The
// program's proto must declare the call of WriteRelationships.
func RemoteRelationships() fx.Option {
	return AsRoute(func(conns *client.Conns) (outbox.Route, error) {
		conn, err := conns.Conn(authz.Name)
		if err != nil {
			return outbox.Route{}, fmt.Errorf("deliver relationships: %w", err)
		}
		return outbox.Route{Topic: authz.Topic, Deliver: authz.Relationships(authz.Client(conn))}, nil
	})
}

// RemotePermissions provides access.Permissions by asking Authz through the mesh. Its proto must
// declare the call of BatchCheck. Authz being down is those requests' 503 and no health check.
func RemotePermissions() fx.Option {
	return fx.Provide(func(conns *client.Conns) (access.Permissions, error) {
		conn, err := conns.Conn(authz.Name)
		if err != nil {
			return nil, fmt.Errorf("ask for permissions: %w", err)
		}
		return authz.Permissions(authz.Client(conn)), nil
	})
}

// RemoteChanges lets streams that a permission admitted ask Authz again when something changed that
// may concern them, instead of every few seconds. The program's proto must declare the call of
// WatchChanges. While Authz says nothing, streams ask as without it.
func RemoteChanges() fx.Option {
	return fx.Provide(
		access.NewChanges,
		func(conns *client.Conns, changes *access.Changes, log *slog.Logger) (authz.ChangeFeed, error) {
			conn, err := conns.Conn(authz.Name)
			if err != nil {
				return nil, fmt.Errorf("follow changes of permissions: %w", err)
			}
			return authz.NewChangeFeed(authz.Client(conn), changes.Told, log), nil
		},
	)
}
