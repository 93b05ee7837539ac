package api_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/gatehouse/gatehouse/internal/token"
)

// What follows reads key sets as version 0.1.0 does (its internal/token/jwk.go): programs of that
// version run beside ours while a platform is upgraded.

var validKeyID010 = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func keysOf010(set []token.JWK) (map[string]token.Key, error) {
	keys := make(map[string]token.Key, len(set))
	for _, j := range set {
		k, err := key010(j)
		if err != nil {
			return nil, err
		}
		if _, twice := keys[k.ID]; twice {
			return nil, fmt.Errorf("two keys have the id %s", k.ID)
		}
		keys[k.ID] = k
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no key")
	}
	return keys, nil
}

func key010(j token.JWK) (token.Key, error) {
	switch {
	case !validKeyID010.MatchString(j.KID):
		return token.Key{}, fmt.Errorf("kid %.80q is not 1 to 64 characters of A-Z a-z 0-9 - _", j.KID)
	case j.Use != "" && j.Use != "sig":
		return token.Key{}, fmt.Errorf("key %s: use is %.16q, not sig", j.KID, j.Use)
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return token.Key{}, fmt.Errorf("key %s: key_ops does not contain verify", j.KID)
	}
	k := token.Key{ID: j.KID, Algorithm: j.Alg}
	var err error
	switch {
	case j.KTY == "OKP" && j.CRV == "Ed25519" && j.Alg == "EdDSA" && j.Y == "":
		k.Public, err = ed25519Key010(j.X)
	case j.KTY == "EC" && j.CRV == "P-256" && j.Alg == "ES256":
		k.Public, err = p256Key010(j.X, j.Y)
	default:
		err = fmt.Errorf("kty %.16q, crv %.16q and alg %.16q are not accepted together", j.KTY, j.CRV, j.Alg)
	}
	if err != nil {
		return token.Key{}, fmt.Errorf("key %s: %w", j.KID, err)
	}
	return k, nil
}

func ed25519Key010(x string) (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("x is not %d bytes of base64url", ed25519.PublicKeySize)
	}
	return b, nil
}

func p256Key010(x, y string) (*ecdsa.PublicKey, error) {
	strict := base64.RawURLEncoding.Strict()
	bx, errX := strict.DecodeString(x)
	by, errY := strict.DecodeString(y)
	if errX != nil || errY != nil || len(bx) != 32 || len(by) != 32 {
		return nil, errors.New("x and y are not 32 bytes of base64url each")
	}
	p, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, bx, by))
	if err != nil {
		return nil, errors.New("x and y are not a point on P-256")
	}
	return p, nil
}
