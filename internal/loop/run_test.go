package loop

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRunTakesTheFirstTurnAtOnceAndPausesAsItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var at []time.Duration
		Run(ctx, nil, func(context.Context) time.Duration {
			at = append(at, time.Since(began))
			if len(at) == 4 {
				cancel()
			}
			return time.Duration(len(at)) * time.Second
		})
		if len(at) != 4 || at[0] != 0 || at[1] != time.Second || at[2] != 3*time.Second || at[3] != 6*time.Second {
			t.Errorf("turns at %v", at)
		}
		if time.Since(began) != at[3] {
			t.Errorf("the loop ended after %s, its context after %s", time.Since(began), at[3])
		}
	})
}

func TestTroubleIsNotedWhenItBeginsAndWhenItIsOver(t *testing.T) {
	var trouble Trouble
	for i, c := range []struct {
		fails       bool
		began, over bool
	}{{false, false, false}, {true, true, false}, {true, false, false}, {false, false, true}, {false, false, false}, {true, true, false}} {
		var err error
		if c.fails {
			err = errors.New("boom")
		}
		if began, over := trouble.Note(err); began != c.began || over != c.over {
			t.Errorf("turn %d: began %v, over %v", i, began, over)
		}
	}
}
