package client_test

import (
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

func TestAuthenticates(t *testing.T) {
	secret := func(text string) client.Secret { return client.Secret{Hash: sha256.Sum256([]byte(text))} }
	c := client.Client{Secrets: []client.Secret{secret("old"), secret("new")}}
	for text, want := range map[string]bool{"old": true, "new": true, "": false, "other": false, "oldnew": false} {
		if c.Authenticates(text) != want {
			t.Errorf("%q authenticates: %t", text, !want)
		}
	}
	if none := (client.Client{}); none.Authenticates("") {
		t.Error("a client without a secret is authenticated by none")
	}
	c.Public = true
	if c.Authenticates("old") {
		t.Error("a public client is authenticated")
	}
}

// R35: the sub of a user is a UUID, which no client's id is.
func TestAClientIsNoUser(t *testing.T) {
	id := client.NewID(uuid.NewString())
	if uuid.Validate(id) == nil {
		t.Errorf("%s is also the id of a user", id)
	}
	c := client.Client{ID: id}
	if err := uuid.Validate(c.Cursor().ID); err != nil || client.IDAt(c.Cursor()) != id {
		t.Errorf("the cursor of %s stands behind %s", id, client.IDAt(c.Cursor()))
	}
}
