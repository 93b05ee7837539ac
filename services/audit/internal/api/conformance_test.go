package api_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/test/conformance"
)

// What stands in for Audit in the gateway's tests answers as this does.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := newService(t)
	conformance.Audit{
		Server: s.Server, Grants: s.grants,
		Add: func(_ testing.TB, actorID string) string {
			id := uuid.NewString()
			s.ingest(t, "identity", message(t, func(e *event.Event) { e.ID, e.Actor.ID = id, actorID }))
			return id
		},
	}.Run(t)
}
