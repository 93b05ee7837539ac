// Package user is the domain of people: who they are, what of them may change, and how they are deleted together with their login.
//
// It owns the rules; a Store keeps the rows, Logins removes logins in Auth. It imports no driver, transport or generated code.
package user

import (
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

// State is where a user is in its life.
//
//	 invite               Create, Register, Import
//	   │                             │
//	   ▼                             ▼             ──Suspend──►
//	Invited ────────accept───────► Active ◄──┐                   Suspended
//	   │                             │       └──────Restore─────     │
//	   └─────────────────────────────┼───────────────────────────────┘
//	                                 │ BeginDelete, from each
//	                                 ▼
//	                             Deleting ──login removed, FinishDelete──► (row gone, id refused for an hour)
//	                               │  ▲
//	                               └──┘ Auth unreachable: the reconciler tries again
//
// Invited, Active and Suspended users are there: whoever manages the users reads, lists, follows
// and changes them, and nobody else of the organization gets their address. A Deleting user is
// NOT_FOUND for everybody; there is no way back.
type State string

// The states.
const (
	Invited   State = "invited"   // has no login before the invitation is accepted
	Active    State = "active"    // may sign in with a login, if there is one
	Suspended State = "suspended" // may not sign in until restored
	Deleting  State = "deleting"
)

// There reports whether the user is one for others.
func (s State) There() bool { return s == Invited || s == Active || s == Suspended }

// User is a person of one organization.
type User struct {
	OrganizationID string // UUID, lower case
	ID             string // UUID, lower case
	Email          string // the login identifier as Auth keeps it
	DisplayName    string
	Locale         string // BCP 47; empty when not said
	TimeZone       string // IANA name; empty when not said
	State          State
	Revision       int64
	CreateTime     time.Time // UTC, microseconds
	UpdateTime     time.Time // UTC, microseconds
	EmailVerified  bool      // as Auth says
}

// ETag returns the opaque tag of this revision.
func (u User) ETag() string { return resource.ETag(u.ID, u.CreateTime, u.Revision) }

// Cursor returns the position after this user in the list of its organization.
func (u User) Cursor() resource.Cursor { return resource.Cursor{CreateTime: u.CreateTime, ID: u.ID} }

// NotFound is the response for an unknown user, a user of another organization and a user that is
// being deleted.
func NotFound() error {
	return reason.UserNotFound()
}

// IDTaken is the response to a creation under the id of another user, of one that is being deleted,
// or of one that was deleted lately.
func IDTaken() error {
	return reason.UserIDTaken()
}

// EmailTaken is the response to a creation with the email of another user of the organization.
func EmailTaken() error {
	return reason.EmailTaken()
}
