package token

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// RS256 signs ID tokens only (RFC 7518, section 3.3): it is what OAuth libraries expect. No key of
// access tokens has it, and no verifier of them takes it.
const RS256 = "RS256"

// MinRSA is the least size of an RSA key in bits (R46; RFC 7518, section 3.3).
const MinRSA = 2048

// idTokenType is the typ header of an ID token. That of an access token is another one, so neither
// passes for the other (R42).
const idTokenType = "JWT"

// SignIDToken makes a compact ID token of claims, which are encoded as JSON (OpenID Connect Core
// 1.0, section 2).
func SignIDToken(claims any, key SigningKey) (string, error) {
	if !validKeyID(key.ID) {
		return "", fmt.Errorf("sign ID token: key id %q is not 1 to %d characters of A-Z a-z 0-9 - _", key.ID, maxKeyID)
	}
	method, err := key.idTokenMethod()
	if err != nil {
		return "", fmt.Errorf("sign ID token: %w", err)
	}
	head, errHead := json.Marshal(map[string]string{"alg": key.Algorithm, "kid": key.ID, "typ": idTokenType})
	payload, errPayload := json.Marshal(claims)
	if err := errors.Join(errHead, errPayload); err != nil {
		return "", fmt.Errorf("sign ID token: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(head) + "." + encode(payload)
	signature, err := method.Sign(signed, key.Signer)
	if err != nil {
		return "", fmt.Errorf("sign ID token: %w", err)
	}
	return signed + "." + encode(signature), nil
}

// idTokenMethod is that of any key that may sign ID tokens.
func (k SigningKey) idTokenMethod() (jwt.SigningMethod, error) {
	if p, ok := k.Signer.(*rsa.PrivateKey); ok && k.Algorithm == RS256 && p.N.BitLen() >= MinRSA {
		return jwt.SigningMethodRS256, nil
	}
	return k.method()
}

// VerifyIDToken returns the claims, as JSON, of a token that SignIDToken made with a key that find
// knows, however long ago. What is in them the caller checks. find answers nil for an id that it
// does not know.
func VerifyIDToken(compact string, find func(kid string) *Key) ([]byte, error) {
	p, err := split(compact)
	if err != nil {
		return nil, err
	}
	members, err := object(p.header)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	var said [3]string
	for i, name := range []string{"alg", "kid", "typ"} {
		if said[i], err = text(members, name); err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
	}
	if len(members) != len(said) || said[2] != idTokenType || !validKeyID(said[1]) {
		return nil, errors.New("header: not that of an ID token of ours")
	}
	key := find(said[1])
	if key == nil {
		return nil, ErrUnknownKey
	}
	method := methods()[key.Algorithm]
	if key.Algorithm != said[0] || method == nil { // R41
		return nil, errors.New("header: alg is not that of the key")
	}
	if err := method.Verify(p.signed, p.signature, key.Public); err != nil {
		return nil, errors.New("the signature is wrong")
	}
	return p.payload, nil
}

// methods are golang-jwt's implementations of what ID tokens are signed with.
func methods() map[string]jwt.SigningMethod {
	return map[string]jwt.SigningMethod{RS256: jwt.SigningMethodRS256, ES256: jwt.SigningMethodES256, EdDSA: jwt.SigningMethodEdDSA}
}

// rsaJWK is the public form of a key that verifies ID tokens (RFC 7518, section 6.3.1).
func rsaJWK(k Key, p *rsa.PublicKey) JWK {
	encode := base64.RawURLEncoding.EncodeToString
	return JWK{KTY: "RSA", Use: "sig", Alg: RS256, KID: k.ID, N: encode(p.N.Bytes()), E: encode(big.NewInt(int64(p.E)).Bytes())}
}
