package relation

import "strings"

// The objects of the platform's own types, as the authorization model names them. A service with
// types of its own names their objects itself.
const (
	platformType     = "platform"
	userType         = "user"
	organizationType = "organization"
)

// Platform is the one object of the platform as a whole.
const Platform = platformType + ":gatehouse"

// User is a person, as an object and as a subject.
func User(id string) string { return userType + ":" + id }

// UserID is the way back; ok is false for anything else than a user.
func UserID(name string) (id string, ok bool) { return strings.CutPrefix(name, userType+":") }

// Organization is an organization.
func Organization(id string) string { return organizationType + ":" + id }

// OrganizationID is the way back; ok is false for anything else than an organization.
func OrganizationID(name string) (id string, ok bool) {
	return strings.CutPrefix(name, organizationType+":")
}
