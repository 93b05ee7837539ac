// Package postgres keeps Identity's organizations and users in PostgreSQL. One method is one transaction.
//
// Only the wiring and this service's tests import it. Rules live in the domain packages; SQL here only locks, reads and writes. A lock on
// an organization is always taken before a lock on one of its existing users.
package postgres

// organizationFK is the foreign key from a user to its organization; it is checked at the commit.
const organizationFK = "users_organization_fk"
