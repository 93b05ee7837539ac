package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// NewJWK returns the public form of a key (RFC 7517, section 4; RFC 8037, section 2; RFC 7518,
// sections 6.2 and 6.3).
func NewJWK(k Key) (JWK, error) {
	if !validKeyID(k.ID) {
		return JWK{}, fmt.Errorf("key id %q is not 1 to %d characters of A-Z a-z 0-9 - _", k.ID, maxKeyID)
	}
	encode := base64.RawURLEncoding.EncodeToString
	switch p := k.Public.(type) {
	case ed25519.PublicKey:
		if k.Algorithm == EdDSA {
			return JWK{KTY: "OKP", Use: "sig", Alg: EdDSA, KID: k.ID, CRV: "Ed25519", X: encode(p)}, nil
		}
	case *rsa.PublicKey:
		if k.Algorithm == RS256 && p.N.BitLen() >= MinRSA {
			return rsaJWK(k, p), nil
		}
	case *ecdsa.PublicKey:
		if k.Algorithm == ES256 && p.Curve == elliptic.P256() {
			point, err := p.Bytes() // 4, then x and y of 32 bytes each
			if err != nil {
				return JWK{}, fmt.Errorf("encode key %s: %w", k.ID, err)
			}
			return JWK{KTY: "EC", Use: "sig", Alg: ES256, KID: k.ID, CRV: "P-256", X: encode(point[1:33]), Y: encode(point[33:])}, nil
		}
	}
	return JWK{}, fmt.Errorf("key %s: a %T does not verify %q", k.ID, k.Public, k.Algorithm)
}

// EncodeKeySet returns the JSON Web Key Set of keys (RFC 7517, section 5), application/jwk-set+json.
func EncodeKeySet(keys []Key) ([]byte, error) {
	set := struct {
		Keys []JWK `json:"keys"`
	}{Keys: make([]JWK, 0, len(keys))}
	for _, key := range keys {
		jwk, err := NewJWK(key)
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, jwk)
	}
	return json.Marshal(set)
}

// Key returns the key that j describes. It honours use and key_ops and admits only the two
// algorithms of access tokens with their own curve (R46).
func (j JWK) Key() (Key, error) {
	switch {
	case !validKeyID(j.KID):
		return Key{}, fmt.Errorf("kid %.80q is not 1 to %d characters of A-Z a-z 0-9 - _", j.KID, maxKeyID)
	case j.Use != "" && j.Use != "sig":
		return Key{}, fmt.Errorf("key %s: use is %.16q, not sig", j.KID, j.Use)
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return Key{}, fmt.Errorf("key %s: key_ops does not contain verify", j.KID)
	}
	k := Key{ID: j.KID, Algorithm: j.Alg}
	var err error
	switch {
	case j.KTY == "OKP" && j.CRV == "Ed25519" && j.Alg == EdDSA && j.Y == "":
		k.Public, err = ed25519Key(j.X)
	case j.KTY == "EC" && j.CRV == "P-256" && j.Alg == ES256:
		k.Public, err = p256Key(j.X, j.Y)
	default:
		err = fmt.Errorf("kty %.16q, crv %.16q and alg %.16q are not accepted together", j.KTY, j.CRV, j.Alg)
	}
	if err != nil {
		return Key{}, fmt.Errorf("key %s: %w", j.KID, err)
	}
	return k, nil
}

func ed25519Key(x string) (ed25519.PublicKey, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(x)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("x is not %d bytes of base64url", ed25519.PublicKeySize)
	}
	return b, nil
}

func p256Key(x, y string) (*ecdsa.PublicKey, error) {
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

// keysOf reads a set. Two keys of one kid make the whole set unusable (R46): which of them counts would be chance.
func keysOf(set []JWK) (map[string]Key, error) {
	keys := make(map[string]Key, len(set))
	for _, j := range set {
		k, err := j.Key()
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
