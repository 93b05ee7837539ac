package cluster_test

import (
	"strings"
	"testing"
	"time"
)

// door names the tests of test/e2e that need no more of a platform than its public door.
var door = []string{
	"UserLifeCycle", "ForeignUserAnswersLikeUnknown", "TakenAddress", "SignInRefusalsAreAlike", "SignOut", "RefreshRotates", "ParallelRefreshLeavesAtMostOneFamily",
	"TailAsLines", "TailAsServerSentEvents",
}

// The suite of the public door passes at the printed address, through the balancer.
func TestPublicDoor(t *testing.T) {
	c := running(t)
	c.explains(t)
	cmd := c.command(t, "go", "test", "-count", "1", "-v", "-parallel", "2", "-timeout", "5m", "-run", "^Test("+strings.Join(door, "|")+")$", "./test/e2e/")
	cmd.Env = append(cmd.Env, "GATEHOUSE_E2E_URL="+c.value("GATEHOUSE_URL"), "SSL_CERT_FILE="+c.value("CURL_CA_BUNDLE"))
	cmd.WaitDelay = time.Minute
	out, err := output(cmd)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range door {
		if !strings.Contains(out, "--- PASS: Test"+name+" ") {
			t.Errorf("Test%s did not run:\n%s", name, out)
		}
	}
}
