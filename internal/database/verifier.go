package database

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// iterations of PBKDF2 in a verifier: PostgreSQL's own (scram_iterations).
const iterations = 4096

// verifier is what PostgreSQL stores of a password (RFC 5802, section 3; RFC 7677): the server
// takes it in the password's place, so that the password is in no statement, and in no log.
func verifier(r Role) (config.Secret, error) {
	password := r.Password.Reveal()
	if strings.ContainsFunc(password, func(c rune) bool { return c < ' ' || c > '~' }) {
		// PostgreSQL would prepare it by SASLprep.
		return config.Secret{}, fmt.Errorf("the password of role %s has characters beyond printable ASCII: take one that has none", r.Name)
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return config.Secret{}, fmt.Errorf("draw a salt: %w", err)
	}
	return scram(password, salt)
}

func scram(password string, salt []byte) (config.Secret, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return config.Secret{}, fmt.Errorf("make a verifier: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return config.NewSecret(fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(mac(salted, "Server Key")))), nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // a hash takes everything
	return h.Sum(nil)
}

// verifies reports whether a stored verifier is that of a password.
func verifies(stored, password string) bool {
	var rounds int
	var salt string
	if _, err := fmt.Sscanf(strings.NewReplacer(":", " ", "$", " ").Replace(stored), "SCRAM-SHA-256 %d %s", &rounds, &salt); err != nil || rounds != iterations {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	again, err := scram(password, raw)
	return err == nil && hmac.Equal([]byte(again.Reveal()), []byte(stored))
}

// changedPasswords are the verifiers of passwords that are not those of their roles yet.
func changedPasswords(ctx context.Context, admin config.Secret, programs []Program) (map[string]config.Secret, error) {
	stored, readable, err := storedVerifiers(ctx, admin)
	if err != nil {
		return nil, err
	}
	changed := map[string]config.Secret{}
	for _, p := range programs {
		for _, role := range p.roles() {
			switch {
			case role.Password.IsZero():
				continue
			case readable && verifies(stored[role.Name], role.Password.Reveal()):
				continue
			case !readable && signsInOnlyWith(ctx, admin, role):
				continue
			}
			secret, err := verifier(role)
			if err != nil {
				return nil, err
			}
			changed[role.Name] = secret
		}
	}
	return changed, nil
}

// storedVerifiers are those of all roles, which only a superuser may read.
func storedVerifiers(ctx context.Context, admin config.Secret) (stored map[string]string, readable bool, err error) {
	conn, err := connect(ctx, admin)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = conn.Close(ctx) }()
	user, err := adminOf(ctx, conn)
	if err != nil || !user.super {
		return nil, false, err
	}
	stored = map[string]string{}
	rows, err := conn.Query(ctx, "select rolname, rolpassword from pg_authid where rolpassword is not null")
	if err != nil {
		return nil, false, fmt.Errorf("look for passwords: %w", err)
	}
	var name, secret string
	_, err = pgx.ForEachRow(rows, []any{&name, &secret}, func() error {
		stored[name] = secret
		return nil
	})
	return stored, true, err
}

// signsInOnlyWith reports whether a role's password is the one that it should be, by signing in. A
// server that lets everybody in, or that cannot be asked, shows nothing.
func signsInOnlyWith(ctx context.Context, admin config.Secret, r Role) bool {
	if !accepted(signIn(ctx, admin, r)) {
		return false
	}
	r.Password = config.NewSecret(rand.Text())
	return Refused(signIn(ctx, admin, r))
}
