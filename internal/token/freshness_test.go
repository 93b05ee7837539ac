package token_test

import (
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
)

// R17: a sign-in is fresh for five minutes; a token that does not say when it was never is.
func TestFresh(t *testing.T) {
	for name, c := range map[string]struct {
		at    time.Time
		fresh bool
	}{
		"now":                            {start, true},
		"five minutes ago":               {start.Add(-5 * time.Minute), true},
		"longer ago":                     {start.Add(-5*time.Minute - time.Second), false},
		"by a clock that is a bit ahead": {start.Add(token.Leeway), true},
		"in the future":                  {start.Add(token.Leeway + time.Second), false},
		"nobody knows when":              {time.Time{}, false},
	} {
		if fresh := (token.Claims{AuthTime: c.at}).Fresh(start); fresh != c.fresh {
			t.Errorf("%s: %t", name, fresh)
		}
	}
}
