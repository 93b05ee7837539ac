package cluster_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// The verbs of the trail's owner run beside the task keep, and print what the program says.
func TestTheTrailsOwner(t *testing.T) {
	c := running(t)
	if out := c.gatehouse(t, "audit", "keep", "--once"); !strings.Contains(out, "events and") {
		t.Errorf("keep says %q", out)
	}
	whose := "8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01"
	for _, days := range []string{"400", "0"} {
		c.gatehouse(t, "audit", "retention", "set", "--class", "sign_ins", "--days", days, "--organization", whose, "--reason", "contract 17")
		want := map[string]string{"400": "400 days", "0": "for ever"}[days]
		if out := c.gatehouse(t, "audit", "retention", "list"); !regexp.MustCompile(whose + " +sign_ins +" + want).MatchString(out) {
			t.Errorf("%s days are listed as\n%s", days, out)
		}
	}
	refused, err := output(c.command(t, filepath.Join(c.root, ".bin", "gatehouse"), "audit", "retention", "set", "--class", "sign_ins", "--days", "3", "--reason", "a typo"))
	if err == nil || !strings.Contains(refused, "7") {
		t.Errorf("3 days: %v %q", err, refused)
	}
}

// What is held stays when its person is erased, and goes once the hold is lifted.
func TestErasingAPerson(t *testing.T) {
	c := running(t)
	who := c.visit(t).signUp(t)
	erased := func(want string) func() error {
		return func() error {
			out, err := output(c.command(t, filepath.Join(c.root, ".bin", "gatehouse"), "audit", "erase", "--user", who.id, "--reason", "request 1"))
			if err == nil && !regexp.MustCompile(want).MatchString(out) {
				err = fmt.Errorf("it says %q, want %s in it", out, want)
			}
			return err
		}
	}
	hold := strings.TrimSpace(c.gatehouse(t, "audit", "hold", "set", "--subject", who.id, "--reason", "case 4711"))
	if out := c.gatehouse(t, "audit", "hold", "list"); !strings.Contains(out, hold+"  organization any  subject "+who.id) {
		t.Errorf("the hold %s is listed as\n%s", hold, out)
	}
	check.Within(t, time.Minute, "the events of the person are stored, and held", erased(`^0 personal values are erased; a hold keeps [1-9]`))
	c.gatehouse(t, "audit", "hold", "lift", "--id", hold, "--reason", "case 4711 is closed")
	check.NoError(t, erased(`^[1-9][0-9]* personal values are erased; a hold keeps 0`)())
	check.Within(t, time.Minute, "nothing is left", erased(`^0 personal values are erased; a hold keeps 0`))
}
