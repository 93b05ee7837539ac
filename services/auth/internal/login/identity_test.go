package login_test

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// identity is the peer with failures to order: before it does its work, or after it, when only the
// answer is lost.
type identity struct {
	mu            sync.Mutex
	users         map[string]login.User
	before, after error
	calls         int
	unproven      int // calls of CreateUser whose address was said to be unverified
	told          []login.Email
}

func (i *identity) CreateUser(_ context.Context, n login.NewUser) (login.User, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.calls++
	if !n.EmailVerified {
		i.unproven++
	}
	if i.before != nil {
		return login.User{}, i.before
	}
	if _, ok := i.users[n.ID]; !ok {
		i.users[n.ID] = login.User{ID: n.ID, OrganizationID: uuid.NewString(), Email: n.Email, DisplayName: n.DisplayName}
	}
	return i.users[n.ID], i.after
}

func (i *identity) SetEmail(_ context.Context, e login.Email) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.before == nil {
		i.told = append(i.told, e)
	}
	return errors.Join(i.before, i.after)
}

func (i *identity) fail(before, after error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.before, i.after = before, after
}
