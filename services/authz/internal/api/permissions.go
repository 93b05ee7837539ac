package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Permissions answers this program's own interceptor, without the way through the mesh.
type Permissions struct{ reader }

// NewPermissions returns the answers.
func NewPermissions(relations *relationship.Service, engine Engine) *Permissions {
	return &Permissions{reader{engine: engine, relations: relations}}
}

// Allowed implements access.Permissions.
func (p *Permissions) Allowed(ctx context.Context, subject string, asked []access.Question, token string) ([]bool, error) {
	questions := make([]fga.Question, len(asked))
	for i, q := range asked {
		questions[i] = fga.Question(q)
	}
	if err := p.relations.Fresh(ctx, token); err != nil {
		return nil, err
	}
	return p.engine.Check(ctx, subject, questions)
}
