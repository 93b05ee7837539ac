// Package organization is the domain of tenants: every user belongs to exactly one organization.
//
// It owns the rules; a Store keeps the rows. It imports no driver, transport or generated code.
package organization

import (
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
)

// personalName is shown for a personal organization whose user has no display name: never the e-mail address, which other members
// of the organization may not know.
const personalName = "Personal organization"

// Organization is a tenant.
type Organization struct {
	ID          string // UUID, lower case
	DisplayName string
	Personal    bool // made for one user; removed with the last user
	Revision    int64
	CreateTime  time.Time // UTC, microseconds
	UpdateTime  time.Time // UTC, microseconds
}

// NewPersonal returns the organization that is created with a user who joins none.
func NewPersonal(id, userDisplayName string, now time.Time) Organization {
	name := personalName
	if strings.TrimSpace(userDisplayName) != "" {
		name = userDisplayName
	}
	return Organization{ID: id, DisplayName: name, Personal: true, Revision: 1, CreateTime: now, UpdateTime: now}
}

// ETag returns the opaque tag of this revision.
func (o Organization) ETag() string { return resource.ETag(o.ID, o.CreateTime, o.Revision) }

// Cursor returns the position after this organization in a list.
func (o Organization) Cursor() resource.Cursor {
	return resource.Cursor{CreateTime: o.CreateTime, ID: o.ID}
}

// Changes are the new values of an update; a nil field stays as it is.
type Changes struct {
	DisplayName *string
}

// apply returns o with the changes, as a new revision if anything differs.
func (c Changes) apply(o Organization, now time.Time) Organization {
	if c.DisplayName == nil || *c.DisplayName == o.DisplayName {
		return o
	}
	o.DisplayName = *c.DisplayName
	o.Revision++
	if !now.After(o.UpdateTime) { // the clock of another instance may be ahead
		now = o.UpdateTime.Add(time.Microsecond)
	}
	o.UpdateTime = now
	return o
}

// NotFound is the response for an unknown organization.
func NotFound() error {
	return reason.OrganizationNotFound()
}

// NotEmpty is the response for removing an organization that still has users.
func NotEmpty() error {
	return reason.OrganizationNotEmpty()
}

func idTaken() error {
	return reason.OrganizationIDTaken()
}
