package client

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
)

// Store keeps clients. Each method is one transaction, with the event of the change;
// internal/client/clienttest holds implementations to these words. Methods that name an unknown
// client return ErrNotFound.
type Store interface {
	// Create stores a new client and records the event.
	Create(ctx context.Context, c Client, e event.Event) error
	// Get returns one client.
	Get(ctx context.Context, id string) (Client, error)
	// List returns clients, oldest first.
	List(ctx context.Context, q resource.Query) ([]Client, error)
	// Update locks the client, calls change with it and, if its revision differs, stores the
	// result, secrets included, and records the event. An error of change is returned as it is and
	// nothing changes.
	Update(ctx context.Context, id string, change func(Client) (Client, event.Event, error)) (Client, error)
	// Delete locks the client, calls decide with it, removes it with its secrets, ends its
	// sessions, which are announced until then, and records the event that decide returns. An error
	// of decide is returned as it is and nothing changes.
	Delete(ctx context.Context, id string, announced time.Time, decide func(Client) (event.Event, error)) error
	// Origins returns the web origins of all clients, each once, in the order of their texts.
	Origins(ctx context.Context) ([]Origin, error)
}
