package app

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// What is not an event, or speaks for another program, is poison in Audit's own outbox too.
func TestOwnPoison(t *testing.T) {
	foreign := trailtest.Entry(t, trailtest.Event()).Sealed // Identity's
	poison, err := own(trail.NewWriter(nil, nil))(t.Context(), []outbox.Message{
		{ID: "a", Payload: []byte("nonsense")}, {ID: "b", Payload: event.MarshalSealed(foreign)},
	})
	if err != nil || len(poison) != 2 || poison[0].ID != "a" || poison[1].ID != "b" || !strings.HasPrefix(poison[1].Reason, trail.ReasonSource) {
		t.Errorf("poison %+v, %v", poison, err)
	}
}
