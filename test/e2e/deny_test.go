package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	probev1 "github.com/gatehouse/gatehouse/test/probe/gen/gatehouse/probe/v1"
)

// meshCLI runs a mesh command and returns what it says and its exit code.
func meshCLI(t *testing.T, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := plat.CLI(ctx, append([]string{"mesh"}, args...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// The bad day: a denial is effective within 2 s and concerns nothing else, everybody sees who made
// it, and a reset brings back what the definition says.
func TestDenyUnderLoad(t *testing.T) {
	client, _ := prober(t)
	end := load(client)
	say := func(code int, want string, args ...string) {
		t.Helper()
		if out, got := meshCLI(t, args...); got != code || !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s", args, got, code, want, out)
		}
	}
	within := func(want codes.Code) {
		t.Helper()
		check.Within(t, 2*time.Second, "the change takes effect", func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if _, err := client.Echo(ctx, &probev1.EchoRequest{}); status.Code(err) != want {
				return fmt.Errorf("the call answers %w, want %s", err, want)
			}
			return nil
		})
	}
	const echo = "/gatehouse.probe.v1.ProbeService/Echo"
	within(codes.OK)
	say(0, "as the definition says", "diff")
	say(0, "the next `gatehouse up` undoes it", "deny", "prober", "probe/Echo", "--reason", "drill of the bad day")
	within(codes.PermissionDenied)
	say(1, "prober -> "+echo+" is denied and should be allowed (denied by hand: ", "diff")
	say(0, "drill of the bad day)", "explain", "prober", "probe/Echo")
	say(0, "is what the definition says again", "reset", "prober", "probe/Echo")
	within(codes.OK)
	say(0, "as the definition says", "diff")
	total, failures := end()
	for _, err := range failures {
		t.Errorf("a call of another method failed: %v", err)
	}
	if total == 0 {
		t.Error("no load ran")
	}

	say(0, "is denied", "deny", "prober", "probe", "--reason", "drill of the bad day")
	check.Within(t, 2*time.Second, "all of it is denied", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if _, err := client.Sleep(ctx, &probev1.SleepRequest{}); status.Code(err) != codes.PermissionDenied {
			return fmt.Errorf("the call answers %w", err)
		}
		return nil
	})
	say(0, "is what the definition says again", "reset", "prober", "probe")
	within(codes.OK)
}
