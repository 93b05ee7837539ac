package intentions

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/consul/api"
)

// attempts bound how often a change is made again when somebody else was first.
const attempts = 5

// ErrMissing says that Consul has no entry of a service.
var ErrMissing = errors.New("there is no such entry")

// Store is the entries of one Consul.
type Store struct{ Consul *api.Client }

// Get returns the entry of a service; the error is ErrMissing when there is none.
func (s Store) Get(ctx context.Context, service string) (*api.ServiceIntentionsConfigEntry, error) {
	held, _, err := s.Consul.ConfigEntries().Get(api.ServiceIntentions, service, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, ErrMissing
	}
	if err != nil {
		return nil, fmt.Errorf("read Consul's service-intentions of %s: %w", service, err)
	}
	entry, ok := held.(*api.ServiceIntentionsConfigEntry)
	if !ok {
		return nil, fmt.Errorf("read Consul's service-intentions of %s: it is a %T", service, held)
	}
	return entry, nil
}

// Change writes what the edit makes of a service's entry, which is nil when there is none, unless
// the entry has changed meanwhile: then it is read and edited again, a few times.
func (s Store) Change(ctx context.Context, service string, edit func(live *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error)) error {
	for range attempts {
		live, err := s.Get(ctx, service)
		if err != nil && !errors.Is(err, ErrMissing) {
			return err
		}
		var index uint64 // of an entry that does not exist
		if live != nil {
			index = live.ModifyIndex
		}
		changed, err := edit(live)
		if err != nil {
			return err
		}
		written, _, err := s.Consul.ConfigEntries().CAS(changed, index, (&api.WriteOptions{}).WithContext(ctx))
		if err != nil {
			return fmt.Errorf("write Consul's service-intentions of %s: %w", service, err)
		}
		if written {
			return nil
		}
	}
	return fmt.Errorf("Consul's service-intentions of %s was changed by somebody else %d times in a row: look who does with `gatehouse mesh diff`, and try again", service, attempts)
}
