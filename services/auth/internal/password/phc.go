package password

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Bounds on what a stored string may ask of this machine.
const (
	maxMemory  = 1 << 20 // KiB
	maxTime    = 64
	maxThreads = 16
	maxBytes   = 64 // of salt and of key
)

// errMalformed is a stored hash that is not an argon2id PHC string.
var errMalformed = errors.New("malformed argon2id PHC string")

// encoded is a parsed PHC string.
type encoded struct {
	Parameters
	salt, key []byte
}

// String is the PHC form: $argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>, base64 without padding.
func (e encoded) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, e.Memory, e.Time, e.Threads,
		b64.EncodeToString(e.salt), b64.EncodeToString(e.key))
}

// parse accepts exactly what String writes, within the bounds.
func parse(s string) (encoded, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return encoded{}, errMalformed
	}
	cost := strings.Split(parts[3], ",")
	if len(cost) != 3 {
		return encoded{}, errMalformed
	}
	memory, err1 := number(cost[0], "m=", maxMemory)
	time, err2 := number(cost[1], "t=", maxTime)
	threads, err3 := number(cost[2], "p=", maxThreads)
	salt, err4 := base64Bytes(parts[4])
	key, err5 := base64Bytes(parts[5])
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return encoded{}, errMalformed
	}
	return encoded{Parameters: Parameters{Memory: memory, Time: time, Threads: uint8(threads)}, salt: salt, key: key}, nil //nolint:gosec // number bounds it
}

// number reads a canonical decimal from 1 to most after its name.
func number(s, name string, most uint32) (uint32, error) {
	digits, ok := strings.CutPrefix(s, name)
	if !ok {
		return 0, errMalformed
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || n == 0 || uint32(n) > most || strconv.FormatUint(n, 10) != digits {
		return 0, errMalformed
	}
	return uint32(n), nil
}

// base64Bytes reads 8 to maxBytes bytes of strict base64.
func base64Bytes(s string) ([]byte, error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) < 8 || len(b) > maxBytes || strings.ContainsAny(s, "\r\n") {
		return nil, errMalformed
	}
	return b, nil
}
