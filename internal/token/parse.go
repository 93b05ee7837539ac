package token

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxToken = 8 << 10 // bytes of a compact token; ours have about 500
	maxKeyID = 64      // characters of a kid
	maxClaim = 512     // bytes of a string claim
	maxTime  = 1 << 37 // seconds since 1970 of a time claim: the year 6325
)

// parts are the decoded parts of a compact JWS.
type parts struct {
	header, payload, signature []byte
	signed                     string // what the signature covers
}

// split takes a compact JWS apart (R45): exactly three non-empty base64url parts without padding, whitespace or trailing bits.
func split(compact string) (parts, error) {
	if len(compact) > maxToken {
		return parts{}, fmt.Errorf("longer than %d bytes", maxToken)
	}
	for i := range len(compact) {
		// The base64 decoder skips line breaks, so the alphabet is checked first.
		if c := compact[i]; !isKeyIDByte(c) && c != '.' {
			return parts{}, errors.New("not the compact form: a byte outside of A-Z a-z 0-9 - _ .")
		}
	}
	if strings.Count(compact, ".") != 2 {
		return parts{}, errors.New("not the compact form: not exactly two dots")
	}
	head, rest, _ := strings.Cut(compact, ".")
	body, sig, _ := strings.Cut(rest, ".")
	var (
		p    parts
		errs [3]error
	)
	strict := base64.RawURLEncoding.Strict()
	p.header, errs[0] = strict.DecodeString(head)
	p.payload, errs[1] = strict.DecodeString(body)
	p.signature, errs[2] = strict.DecodeString(sig)
	if err := errors.Join(errs[:]...); err != nil {
		return parts{}, fmt.Errorf("not the compact form: %w", err)
	}
	if len(p.header) == 0 || len(p.payload) == 0 || len(p.signature) == 0 {
		return parts{}, errors.New("not the compact form: an empty part")
	}
	p.signed = compact[:len(head)+1+len(body)]
	return p, nil
}

// header is the JOSE header of an access token.
type header struct{ alg, kid string }

// parseHeader admits exactly alg, kid and typ (R42, R44): our issuer writes nothing else, so jwk, jku, x5u, x5c, crit, b64 and
// whatever comes next can select no key and change no rule.
func parseHeader(data []byte) (header, error) {
	members, err := object(data)
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	for name := range members {
		if name != "alg" && name != "kid" && name != "typ" {
			return header{}, fmt.Errorf("header: member %.32q is not accepted", name)
		}
	}
	var h header
	if h.alg, err = text(members, "alg"); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	if h.alg != EdDSA && h.alg != ES256 {
		return header{}, errors.New("header: alg is not accepted")
	}
	if h.kid, err = text(members, "kid"); err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	if !validKeyID(h.kid) {
		return header{}, errors.New("header: kid is not a key id")
	}
	typ, err := text(members, "typ")
	if err != nil {
		return header{}, fmt.Errorf("header: %w", err)
	}
	// Media types compare without regard to case (RFC 9110, section 8.3.1; RFC 9068, section 4).
	if !strings.EqualFold(typ, mediaType) && !strings.EqualFold(typ, "application/"+mediaType) {
		return header{}, errors.New("header: typ is not an access token's")
	}
	return h, nil
}

// parseClaims reads the claims strictly: exact names, exact types, no duplicates, none missing.
func parseClaims(data []byte) (Claims, error) {
	members, err := object(data)
	if err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	var c Claims
	for _, m := range []struct {
		name string
		into *string
	}{
		{"iss", &c.Issuer}, {"sub", &c.Subject}, {"client_id", &c.ClientID}, {"sid", &c.SessionID}, {"org", &c.OrganizationID}, {"jti", &c.ID},
	} {
		if *m.into, err = text(members, m.name); err != nil {
			return Claims{}, fmt.Errorf("claims: %w", err)
		}
	}
	if c.Audience, err = audience(members["aud"]); err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	if raw, ok := members["scope"]; ok {
		if c.Scope, err = stringValue(raw, "scope"); err != nil {
			return Claims{}, fmt.Errorf("claims: %w", err)
		}
		if !validScope(c.Scope) {
			return Claims{}, errors.New("claims: scope is not a list of scopes with single spaces between")
		}
	}
	if c.IssuedAt, err = seconds(members, "iat"); err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	if c.ExpiresAt, err = seconds(members, "exp"); err != nil {
		return Claims{}, fmt.Errorf("claims: %w", err)
	}
	for _, m := range []struct {
		name string
		into *time.Time
	}{{"nbf", &c.NotBefore}, {"auth_time", &c.AuthTime}} {
		if _, ok := members[m.name]; ok {
			if *m.into, err = seconds(members, m.name); err != nil {
				return Claims{}, fmt.Errorf("claims: %w", err)
			}
		}
	}
	return c, nil
}

// object reads one JSON object into its members. Names count exactly, unlike in encoding/json's structs, and a name may come once.
func object(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(strings.NewReader(string(data)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	members := make(map[string]json.RawMessage, 12)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, errors.New("malformed JSON")
		}
		name, ok := t.(string)
		if !ok {
			return nil, errors.New("malformed JSON")
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("member %.32q comes twice", name)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("malformed JSON")
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("malformed JSON")
	}
	if strings.TrimLeft(string(data[d.InputOffset():]), " \t\r\n") != "" {
		return nil, errors.New("something follows the JSON object")
	}
	return members, nil
}

// text returns a required, non-empty string member.
func text(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", fmt.Errorf("%s is missing", name)
	}
	return stringValue(raw, name)
}

func stringValue(raw json.RawMessage, name string) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%s is not a string", name)
	}
	if s == "" || len(s) > maxClaim {
		return "", fmt.Errorf("%s is empty or longer than %d bytes", name, maxClaim)
	}
	return s, nil
}

// audience reads aud: one string or an array of them (RFC 7519, section 4.1.3).
func audience(raw json.RawMessage) ([]string, error) {
	if len(raw) > 0 && raw[0] == '[' {
		var values []json.RawMessage
		if err := json.Unmarshal(raw, &values); err != nil || len(values) == 0 {
			return nil, errors.New("aud is not a list of names")
		}
		all := make([]string, len(values))
		for i, v := range values {
			s, err := stringValue(v, "aud")
			if err != nil {
				return nil, err
			}
			all[i] = s
		}
		return all, nil
	}
	if len(raw) == 0 {
		return nil, errors.New("aud is missing")
	}
	s, err := stringValue(raw, "aud")
	if err != nil {
		return nil, err
	}
	return []string{s}, nil
}

// seconds reads a required NumericDate as a whole, positive number of seconds (R43): no string, fraction, exponent or sign.
func seconds(members map[string]json.RawMessage, name string) (time.Time, error) {
	raw, ok := members[name]
	if !ok {
		return time.Time{}, fmt.Errorf("%s is missing", name)
	}
	n, err := strconv.ParseUint(string(raw), 10, 63)
	if err != nil || n == 0 || n > maxTime {
		return time.Time{}, fmt.Errorf("%s is not a whole number of seconds in range", name)
	}
	return time.Unix(int64(n), 0).UTC(), nil
}

// validKeyID reports whether a kid has the form that ours have, so that it is harmless wherever it is used.
func validKeyID(kid string) bool {
	if kid == "" || len(kid) > maxKeyID {
		return false
	}
	for i := range len(kid) {
		if !isKeyIDByte(kid[i]) {
			return false
		}
	}
	return true
}

func isKeyIDByte(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
