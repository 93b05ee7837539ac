// Package fact is what Identity tells other programs of what happened: Audit the event, Authz the
// relationships that follow from it.
//
// The domains of users and organizations make facts; internal/postgres stores them with the change.
// It imports no driver, transport or generated code.
package fact

import (
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Fact is one thing that happened.
type Fact struct {
	Event         event.Event
	Relationships relation.Change // that follow from it; zero when none do
}

// Object is the object that the fact is about, "type:id".
func (f Fact) Object() string { return f.Event.ObjectType + ":" + f.Event.ObjectID }
