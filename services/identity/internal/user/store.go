package user

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/services/identity/internal/listing"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// Store keeps users. Each method is one transaction. The organization comes first: a user of another organization, like one that is
// being deleted, is NotFound().
type Store interface {
	// Create stores the user unless one with its id exists in any organization, and returns the stored one, also one that is being
	// deleted. With a personal organization it stores both or neither; otherwise an unknown organization is
	// organization.NotFound(). The id of a user whose deletion was finished is IDTaken() until it is forgotten. Concurrent duplicates
	// are safe: one is stored, all return it.
	Create(ctx context.Context, u User, personal *organization.Organization) (User, error)
	// Get returns one active user.
	Get(ctx context.Context, organizationID, id string) (User, error)
	// List returns active users, oldest first.
	List(ctx context.Context, organizationID string, q listing.Query) ([]User, error)
	// Update locks an active user, calls change with it and stores the result if its revision differs. An error of change is returned
	// as it is and nothing changes.
	Update(ctx context.Context, organizationID, id string, change func(User) (User, error)) (User, error)
}

// Deletion is a user whose deletion was begun.
type Deletion struct {
	OrganizationID string
	UserID         string
}

// DeletionStore keeps the intent to delete a user until it is carried out. Each method is one transaction.
type DeletionStore interface {
	// BeginDelete locks the user, calls check with it and makes it Deleting. Nobody else claims the deletion before due. A user that
	// already is Deleting stays so and gets the new due time. An error of check is returned as it is and nothing changes.
	BeginDelete(ctx context.Context, organizationID, id string, due time.Time, check func(User) error) error
	// ClaimDeletion returns the deletion that is due the longest and makes it due at until; found is false when none is due. No two
	// callers get the same deletion while the claim holds.
	ClaimDeletion(ctx context.Context, now, until time.Time) (d Deletion, found bool, err error)
	// FinishDelete removes the row of a Deleting user, remembers at now that its id was used, and removes its organization if that was
	// personal and has no user left. A user that is gone already is no error; an active one stays.
	FinishDelete(ctx context.Context, d Deletion, now time.Time) error
	// ForgetDeleted forgets at most limit ids of users whose deletion was finished before a time, and returns how many.
	ForgetDeleted(ctx context.Context, before time.Time, limit int) (int, error)
}

// Logins is what the user's deletion needs of Auth.
type Logins interface {
	// RemoveLogin ends all sessions of the user and removes the login; a user without one is no error.
	RemoveLogin(ctx context.Context, userID string) error
}
