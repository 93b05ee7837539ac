package proof_test

import (
	"encoding/base64"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// A code has 128 bits, is another one each time, and goes into a link as it is.
func TestCodes(t *testing.T) {
	seen := map[proof.Hash]bool{}
	for range 1000 {
		code := proof.NewCode()
		if raw, err := base64.RawURLEncoding.DecodeString(string(code)); err != nil || len(raw) != 16 {
			t.Fatalf("%q: %v", code, err)
		}
		seen[code.Hash()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different codes of 1000", len(seen))
	}
}
