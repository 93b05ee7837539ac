package request_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/request"
)

func TestRequestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "a-Z_9": true, strings.Repeat("a", 64): true, "": false, strings.Repeat("a", 65): false, "a b": false, "a.b": false, "a\n": false,
		`a" level="error`: false, "é": false, "a\x00": false,
	} {
		if got := request.ValidID(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
}

func TestIDOfAContext(t *testing.T) {
	if got := request.ID(request.WithID(t.Context(), "req-1")); got != "req-1" {
		t.Errorf("the id is %q", got)
	}
	if got := request.ID(t.Context()); got != "" {
		t.Errorf("without a request the id is %q", got)
	}
}
