// Package authz is Authz as Identity needs it: a client of the calls that Identity's contract declares.
//
// Only the wiring imports it. The permissions that methods demand are asked for by the gRPC server, not here.
package authz

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

const (
	// keepModel is how long the names of the model's permissions are used without asking again. It changes only with a release of Authz.
	keepModel = time.Minute
	// modelTimeout bounds the question for the model.
	modelTimeout = 2 * time.Second
	// permissionPrefix begins the relations that are permissions.
	permissionPrefix = "can_"
)

// Permissions tells what a user may do; it is membership.Permissions. Safe for concurrent use.
type Permissions struct {
	client authzv1.AuthzServiceClient
	checks access.Permissions
	now    func() time.Time

	mu    sync.Mutex
	model model
}

// model is what is kept of the authorization model: for each type the names of its permissions, sorted.
type model struct {
	permissions map[string][]string
	until       time.Time
}

// NewPermissions returns the adapter over a client, for the model, and the checks that the server makes too.
func NewPermissions(client authzv1.AuthzServiceClient, checks access.Permissions, now func() time.Time) *Permissions {
	return &Permissions{client: client, checks: checks, now: now}
}

// Of returns the permissions that the user has on the platform and on one organization, both sorted. When Authz does not answer, the error
// is UNAVAILABLE (AUTHZ_UNAVAILABLE): nobody is told of fewer or of older rights.
func (p *Permissions) Of(ctx context.Context, userID, organizationID string) (platform, organization []string, err error) {
	platform, organization, err = p.ask(ctx, userID, organizationID)
	if e := (*apierr.Error)(nil); errors.As(err, &e) && e.Kind == apierr.InvalidArgument {
		p.forget() // a release of Authz has taken a permission away
		platform, organization, err = p.ask(ctx, userID, organizationID)
	}
	if err != nil {
		return nil, nil, access.Undecided(ctx, err) // as where the server cannot ask for a permission
	}
	return platform, organization, nil
}

func (p *Permissions) ask(ctx context.Context, userID, organizationID string) (platform, organization []string, err error) {
	names, err := p.names(ctx)
	if err != nil {
		return nil, nil, err
	}
	var asked []access.Question
	for _, name := range names[relation.Type(relation.Platform)] {
		asked = append(asked, access.Question{Relation: name, Object: relation.Platform})
	}
	object := relation.Organization(organizationID)
	for _, name := range names[relation.Type(object)] {
		asked = append(asked, access.Question{Relation: name, Object: object})
	}
	if len(asked) == 0 {
		return nil, nil, nil
	}
	allowed, err := p.checks.Allowed(ctx, relation.User(userID), asked, request.Consistency(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("ask for permissions: %w", err)
	}
	if len(allowed) != len(asked) {
		return nil, nil, fmt.Errorf("ask for permissions: %d answers to %d questions", len(allowed), len(asked))
	}
	for i, question := range asked {
		switch {
		case !allowed[i]:
		case question.Object == relation.Platform:
			platform = append(platform, question.Relation)
		default:
			organization = append(organization, question.Relation)
		}
	}
	return platform, organization, nil
}

// names returns the permissions of each type of the model.
func (p *Permissions) names(ctx context.Context) (map[string][]string, error) {
	p.mu.Lock()
	known := p.model
	p.mu.Unlock()
	if p.now().Before(known.until) {
		return known.permissions, nil
	}
	call, cancel := context.WithTimeout(ctx, modelTimeout)
	defer cancel()
	r, err := p.client.GetModel(call, &authzv1.GetModelRequest{})
	if err != nil {
		return nil, fmt.Errorf("read the authorization model: %w", rpcstatus.ToError(status.Convert(err)))
	}
	fresh := model{permissions: map[string][]string{}, until: p.now().Add(keepModel)}
	for _, t := range r.GetTypes() {
		for _, name := range t.GetRelations() {
			if strings.HasPrefix(name, permissionPrefix) {
				fresh.permissions[t.GetName()] = append(fresh.permissions[t.GetName()], name)
			}
		}
	}
	p.mu.Lock()
	p.model = fresh
	p.mu.Unlock()
	return fresh.permissions, nil
}

func (p *Permissions) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.model = model{}
}
