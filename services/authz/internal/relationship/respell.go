package relationship

import (
	"context"
	"slices"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Respell replaces relationships whose ids are not in their one form (relation.CanonicalID) by the
// same ones that are, and returns how many. They are changes like any other, with their locks and
// events: what such a relationship was meant to grant, and never did, it grants from here on. All
// of the right ones are written before one of the others is deleted, because some lead to others:
// nobody has less in between. Those that today's model does not admit stay, because nothing asks
// about them any more.
func (s *Service) Respell(ctx context.Context, program string, misspelt []relation.Tuple) (respelt int, err error) {
	e := event.Own(ctx, program, "authz.relationships_written", "")
	var right, wrong []relation.Tuple
	for _, t := range misspelt {
		if s.engine.Validate(t.Canonical()) == nil {
			right, wrong = append(right, t.Canonical()), append(wrong, t)
		}
	}
	for part := range slices.Chunk(distinct(right), MaxTuples) {
		if _, err := s.change(ctx, e, program, Change{ID: s.newID(), Writes: part}, nil); err != nil {
			return 0, err
		}
	}
	for part := range slices.Chunk(distinct(wrong), MaxTuples) {
		if _, err := s.change(ctx, e, program, Change{ID: s.newID(), Deletes: part}, nil); err != nil {
			return respelt, err
		}
		respelt += len(part)
	}
	return respelt, nil
}
