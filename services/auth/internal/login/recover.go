package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// RecoverFor is how long the secret of a recovery is good.
const RecoverFor = 15 * time.Minute

// SecretHash is the SHA-256 of a secret, as it is stored; "" for none.
type SecretHash string

// HashSecret hashes a secret of full entropy.
func HashSecret(secret string) SecretHash {
	sum := sha256.Sum256([]byte(secret))
	return SecretHash(sum[:])
}

// Bytes returns the hash.
func (h SecretHash) Bytes() []byte { return []byte(h) }

// Recoveries keeps what Recover makes.
type Recoveries interface {
	// Recover stores a secret that is good once and for so long, records the event, and returns
	// until when.
	Recover(ctx context.Context, secret SecretHash, lifetime time.Duration, e event.Event) (until time.Time, err error)
}

const secretBytes = 32

// Recover makes a secret with which the platform gets an administrator again (Service.Bootstrap):
// once, within RecoverFor. It is for who operates the database, when no administrator is left to
// ask (R89); only its hash is kept, and the trail says that it was made.
func Recover(ctx context.Context, store Recoveries, random io.Reader) (secret string, until time.Time, err error) {
	raw := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return "", time.Time{}, fmt.Errorf("make the secret: %w", err)
	}
	secret = base64.RawURLEncoding.EncodeToString(raw)
	e := event.Own(ctx, "auth", "auth.recovery_made", "platform")
	e.ObjectID = "gatehouse"
	until, err = store.Recover(ctx, HashSecret(secret), RecoverFor, e)
	return secret, until, err
}
