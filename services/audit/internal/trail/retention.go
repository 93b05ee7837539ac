package trail

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Class is a kind of events that are kept equally long.
type Class string

// The classes. An event is of one of them.
const (
	Changes  Class = "changes"  // what is neither of the others
	SignIns  Class = "sign_ins" // sessions and tokens: how they began, went on and ended, and attempts that failed
	Refusals Class = "refusals" // what was denied
)

// Classes are all classes.
func Classes() []Class { return []Class{Changes, SignIns, Refusals} }

// SignInActions are the actions of the class SignIns.
func SignInActions() []string {
	return []string{
		"auth.client_signed_in", "auth.session_ended", "auth.session_refreshed", "auth.sessions_ended", "auth.sign_in_challenged",
		"auth.signed_in", "auth.signed_out", "auth.token_revoked", "auth.tokens_issued",
	}
}

// ClassOf returns the class of an event, by its outcome and action alone.
func ClassOf(e event.Event) Class {
	if e.Outcome == event.Denied {
		return Refusals
	}
	for _, action := range SignInActions() {
		if e.Action == action {
			return SignIns
		}
	}
	return Changes
}

// Bounds of a retention, in days. What arrives after its retention is refused, so it has to be
// longer than a program may wait to hand its events over.
const (
	MinDays = 7
	MaxDays = 36500
)

// Retention says how long the events of a class are kept.
type Retention struct {
	OrganizationID string // whose; empty for every organization without one of its own, and for the platform
	Class          Class
	Days           int       // 0: for ever
	Since          time.Time // what happened before it may be gone; zero when nothing is
}

// Check refuses what no retention may be.
func (r Retention) Check() error {
	if r.Days != 0 && (r.Days < MinDays || r.Days > MaxDays) {
		return fmt.Errorf("the retention is %d days: give %d to %d, or 0 for ever", r.Days, MinDays, MaxDays)
	}
	for _, class := range Classes() {
		if r.Class == class {
			return nil
		}
	}
	return fmt.Errorf("the class %q is unknown: give %s, %s or %s", r.Class, Changes, SignIns, Refusals)
}

// Retentions are those that concern some events.
type Retentions []Retention

// Over reports whether the retention of an event was over when the trail was last kept: it may have
// been stored and removed, so whether it is known cannot be said any more.
func (all Retentions) Over(e event.Event) bool {
	class := ClassOf(e)
	var since time.Time
	for _, r := range all {
		switch {
		case r.Class != class:
		case r.OrganizationID == "":
			since = r.Since
		case r.OrganizationID == e.OrganizationID:
			return e.Time.Before(r.Since)
		}
	}
	return e.Time.Before(since)
}

// Hold keeps events that match all that is set from retention and erasure, until it is lifted.
type Hold struct {
	ID             string
	OrganizationID string    // in which they happened
	SubjectID      string    // who did it, or to whom or what it was done
	Since          time.Time // first time
	Until          time.Time // first time that is not meant any more
	Reason         string
}

// Check refuses a hold that says nothing.
func (h Hold) Check() error {
	switch {
	case h.OrganizationID == "" && h.SubjectID == "" && h.Since.IsZero() && h.Until.IsZero():
		return fmt.Errorf("the hold names no events: give an organization, a user or another subject, or a period")
	case !h.Since.IsZero() && !h.Until.IsZero() && !h.Since.Before(h.Until):
		return fmt.Errorf("the period of the hold ends before it begins")
	}
	return CheckReason(h.Reason)
}

// CheckReason refuses a reason that says nothing to whoever reads the trail.
func CheckReason(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("a reason is missing: say why, for whoever reads the trail later")
	}
	return nil
}
