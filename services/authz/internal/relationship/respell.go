package relationship

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Respell replaces relationships whose ids are not in their one form (relation.CanonicalID) by the same ones that are, and returns how
// many. They are changes like any other, with their locks and events: what such a relationship was meant to grant, and never did, it
// grants from here on. Those that today's model does not admit stay, because nothing asks about them any more.
func (s *Service) Respell(ctx context.Context, program string, misspelt []relation.Tuple) (respelt int, err error) {
	ctx = event.Background(ctx, program, "", "authz.relationships_written", "")
	for part := range slices.Chunk(misspelt, MaxTuples/2) { // each is one deletion and one addition
		c := Change{ID: s.newID()}
		for _, t := range part {
			if s.engine.Validate(t.Canonical()) == nil {
				c.Writes, c.Deletes = append(c.Writes, t.Canonical()), append(c.Deletes, t)
			}
		}
		if len(c.Deletes) == 0 {
			continue
		}
		c.Writes, c.Deletes = distinct(c.Writes), distinct(c.Deletes)
		if _, err := s.change(ctx, program, c, nil); err != nil {
			return respelt, err
		}
		respelt += len(c.Deletes)
	}
	return respelt, nil
}
