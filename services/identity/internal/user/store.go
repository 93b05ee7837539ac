package user

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
)

// Store keeps users. Each method is one transaction, with what the change tells others. The scope
// comes first: a user outside of it, like one that is being deleted, is NotFound(). A user is there
// in every other state. A token names the relationships of a change (request.ConsistencyToken); it
// is empty when nothing changed.
type Store interface {
	// Create stores the user unless one with its id exists in any organization, and returns the
	// stored one, also one that is being deleted, with the token of its creation. With a personal
	// organization it stores both or neither; otherwise an unknown organization is
	// organization.NotFound(). The id of a user whose deletion was finished since c.Refused is
	// IDTaken(), an email that a user of the organization has is EmailTaken(), and one user more
	// than c.Most of a personal organization, in whatever state they are, is
	// OrganizationFull(c.Most), however many are created at the same time. Concurrent duplicates
	// are safe: one is stored, all return it. The standing of an Invited user is to be told at
	// c.InvitationDue.
	Create(ctx context.Context, c Creation) (stored User, token string, err error)
	// Import stores each user whose address is free in the organization, in this order, and returns
	// in the same order who has each address then: the user itself, or another one that is there.
	// All of them or, on an error, none is stored. token names the relationships of the last one
	// stored. An organization that is unknown, or ends with users that are being deleted, is
	// organization.NotFound(), one that would have more users than Most of the creations allow is
	// OrganizationFull, as of Create.
	Import(ctx context.Context, organizationID string, creations []Creation) (holders []User, token string, err error)
	// Get returns one user.
	Get(ctx context.Context, scope Scope, id string) (User, error)
	// List returns users, oldest first.
	List(ctx context.Context, scope Scope, q resource.Query) ([]User, error)
	// SetEmail takes over what Auth says of a user's address, in a new revision of the user, and
	// records the event, unless it took over the same or a later revision of it before. An address
	// that another user of the organization has is EmailTaken().
	SetEmail(ctx context.Context, e Email, now time.Time, by event.Event) error
	// Update locks a user, calls change with it and, if its revision differs, stores the
	// result and records the event. An error of change is returned as it is and nothing changes.
	Update(ctx context.Context, scope Scope, id string, change func(User) (User, event.Event, error)) (User, error)
}

// Deletion is a user whose deletion was begun.
type Deletion struct {
	OrganizationID string
	UserID         string
}

// DeletionStore keeps the intent to delete a user until it is carried out. Each method is one
// transaction, with what it tells others.
type DeletionStore interface {
	// Leaving reads what a deletion is asked about before it begins, a user in any state and
	// whether its organization would go too (ends of BeginDelete). It locks nothing: both may be
	// different when the deletion begins.
	Leaving(ctx context.Context, scope Scope, id string) (u User, ends bool, err error)
	// BeginDelete locks the user, calls decide with it and makes it Deleting, of which no standing
	// is told any more: from here on there is no way back, so this is the deletion that the trail
	// records, by the fact that decide returns, and after which the user has no relationships;
	// token names their removal. Nobody else claims the deletion before due. A user that already is
	// Deleting stays so and gets the new due time; the fact of that is of before. An error of
	// decide is returned as it is and nothing changes. ends says that the user's organization is
	// personal and has no other user: it goes with this one, because from here on nobody can join
	// it.
	BeginDelete(
		ctx context.Context, scope Scope, id string, due time.Time, decide func(u User, ends bool) (fact.Fact, error),
	) (d Deletion, token string, err error)
	// ClaimDeletion returns the deletion that is due the longest and makes it due at until; found is false when none is due. No two
	// callers get the same deletion while the claim holds.
	ClaimDeletion(ctx context.Context, now, until time.Time) (d Deletion, found bool, err error)
	// FinishDelete removes the row of a Deleting user, remembers at now that its id was used, and
	// removes its organization, with the fact that it ended, if that was personal and has no user
	// left. A user that is gone already is not an error; one that is not Deleting stays.
	FinishDelete(ctx context.Context, d Deletion, now time.Time, ended fact.Fact) error
	// ForgetDeleted forgets at most limit ids of users whose deletion was finished before a time, and returns how many.
	ForgetDeleted(ctx context.Context, before time.Time, limit int) (int, error)
}

// Departures is what deletions and suspensions need of Authz.
type Departures interface {
	// Reserve says, for whoever asks for the deletion, whether a user may be deleted:
	// FAILED_PRECONDITION (LAST_ADMINISTRATOR, LAST_OWNER) when nobody would be left in a role of
	// the user. ends says that the user's organization goes too. After it the deletion need not be
	// refused any more.
	Reserve(ctx context.Context, u User, ends bool, by event.Event) error
	// ReserveSuspension is Reserve for who will be suspended with a revision, or is about to be
	// invited, until Settle says that the user is back, or has accepted. alone says that nobody
	// else is in the user's personal organization.
	ReserveSuspension(ctx context.Context, u User, alone bool, revision int64, by event.Event) error
	// Settle says what became of a suspension or an invitation that was reserved.
	Settle(ctx context.Context, told Standing) error
}

// Logins is what deletions and suspensions need of Auth.
type Logins interface {
	// RemoveLogin ends all sessions of the user and removes the login; a user without one is not an
	// error.
	RemoveLogin(ctx context.Context, userID string) error
	// SetStanding ends all sessions of a suspended user and refuses every sign-in, or lets a user
	// sign in again; a user without a login is not an error.
	SetStanding(ctx context.Context, told Standing) error
}
