package factor

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"
)

// What authenticators know without being told (RFC 6238; the Key URI format): SHA-1, six digits, a
// code every 30 s. Few of them do anything else.
const (
	period       = 30
	secretLength = 20 // bytes (RFC 4226, section 4)
)

// window is how many steps before the present one are looked at: somebody types slowly. None after
// it: clocks of telephones are right.
const window = 1

// stepAt is the step of a time.
func stepAt(t time.Time) int64 { return t.Unix() / period }

// newSecret draws the secret of an authenticator.
func newSecret() []byte {
	secret := make([]byte, secretLength)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// code is the code of a step.
func code(secret []byte, step int64) (string, error) {
	text, err := hotp.GenerateCodeCustom(readable(secret), uint64(step), hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}) //nolint:gosec // after 1970
	if err != nil {
		return "", fmt.Errorf("make a code: %w", err)
	}
	return text, nil
}

// match returns the step of the window whose code was given. All are compared, whichever it is.
func match(secret []byte, given string, now time.Time) (step int64, ok bool, err error) {
	given = strings.ReplaceAll(given, " ", "") // authenticators show two groups of three
	for at := stepAt(now) - window; at <= stepAt(now); at++ {
		want, err := code(secret, at)
		if err != nil {
			return 0, false, err
		}
		if subtle.ConstantTimeCompare([]byte(want), []byte(given)) == 1 {
			step, ok = at, true
		}
	}
	return step, ok, nil
}

// readable is a secret as people type it.
func readable(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// uri is a secret as authenticators read it from a picture.
func uri(secret []byte, site, email string) (string, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: site, AccountName: email, Period: period, Secret: secret, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
	})
	if err != nil {
		return "", fmt.Errorf("name the secret of an authenticator: %w", err)
	}
	return key.URL(), nil
}
