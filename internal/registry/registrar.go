package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/loop"
)

// lookEvery is how often the registrar looks whether the agent still knows the program: an agent that lost its state learns it again
// within this time.
const lookEvery = 2 * time.Second

// Registrar keeps one registration with the local Consul agent. It does not take it back: the
// health check of a program that stopped says so, and the sidecar, which may go on, must find its
// definition when the program starts again.
type Registrar struct {
	client       *api.Client
	registration *api.AgentServiceRegistration
	log          *slog.Logger
}

// NewRegistrar makes a registrar; Run does the work.
func NewRegistrar(client *api.Client, registration *api.AgentServiceRegistration, log *slog.Logger) *Registrar {
	return &Registrar{client: client, registration: registration, log: log}
}

// Run registers at once, and again whenever the agent has forgotten, until ctx ends. An agent that is down is waited for.
func (r *Registrar) Run(ctx context.Context) {
	known, trouble := false, loop.Trouble{}
	loop.Run(ctx, nil, func(ctx context.Context) time.Duration {
		err := r.step(ctx, known)
		if ctx.Err() != nil {
			return 0
		}
		switch began, over := trouble.Note(err); {
		case began:
			r.log.WarnContext(ctx, "registration with consul fails; trying again", "service", r.registration.ID, "error", err.Error())
		case over, err == nil && !known:
			r.log.InfoContext(ctx, "registered with consul", "service", r.registration.ID)
		}
		if err != nil {
			return lookEvery / 4
		}
		known = true
		return lookEvery
	})
}

// step registers when it is the first time or the agent has forgotten. The first registration replaces what another version of the
// program may have left.
func (r *Registrar) step(ctx context.Context, known bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	if known {
		there, err := r.registered(ctx)
		if err != nil || there {
			return err
		}
	}
	return r.Register(ctx)
}

// Register registers once.
func (r *Registrar) Register(ctx context.Context) error {
	options := api.ServiceRegisterOpts{ReplaceExistingChecks: true}.WithContext(ctx)
	if err := r.client.Agent().ServiceRegisterOpts(r.registration, options); err != nil {
		return fmt.Errorf("register %s: %w", r.registration.ID, err)
	}
	return nil
}

// registered asks the agent for the program and its sidecar.
func (r *Registrar) registered(ctx context.Context) (bool, error) {
	for _, id := range []string{r.registration.ID, SidecarID(r.registration.ID)} {
		options := (&api.QueryOptions{}).WithContext(ctx)
		if _, _, err := r.client.Agent().Service(id, options); err != nil {
			if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
				return false, nil
			}
			return false, fmt.Errorf("look for %s: %w", id, err)
		}
	}
	return true, nil
}
