package outbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/internal/outbox"
)

// An outbox without one of its parts, or over a schema whose name would have to be quoted, is not
// made.
func TestNewRefusesWhatIsMissing(t *testing.T) {
	_, o := open(t)
	for name, change := range map[string]func(*outbox.Params){
		"no pool":              func(p *outbox.Params) { p.Pool = nil },
		"no clock":             func(p *outbox.Params) { p.Now = nil },
		"no source":            func(p *outbox.Params) { p.Source = "" },
		"no salts":             func(p *outbox.Params) { p.Random = nil },
		"a schema with spaces": func(p *outbox.Params) { p.Schema = "two words" },
	} {
		p := o.Params
		change(&p)
		if _, err := outbox.New(p); err == nil {
			t.Errorf("%s: an outbox is made", name)
		}
	}
	if _, err := outbox.New(o.Params); err != nil {
		t.Errorf("the parts of an outbox make none: %v", err)
	}
}

// What tables keep of a text is short and has no controls.
func TestCut(t *testing.T) {
	for text, want := range map[string]string{"short": "short", "line\nend\x00": "lineend", "0123456789": "01234567", "h\xff": "h", "": ""} {
		if got := outbox.Cut(text, 8); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestGatherForWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		outbox.GatherFor(50 * time.Millisecond)(t.Context())
		if waited := time.Since(began); waited != 50*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		outbox.GatherFor(time.Hour)(ended)
		if waited := time.Since(began); waited != 50*time.Millisecond {
			t.Errorf("the end of the relay is waited for %s", waited)
		}
	})
}
