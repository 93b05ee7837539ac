package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// endings are logs, and what of each is told.
var endings = map[string]struct{ log, want string }{
	"PostgreSQL": {
		"2026-11-28 09:50:04.852 UTC [24602] LOG:  starting PostgreSQL 15.18\n" +
			"2026-11-28 09:50:04.859 UTC [24602] LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use\n" +
			"2026-11-28 09:50:04.859 UTC [24602] FATAL:  could not create any TCP/IP sockets\n" +
			"2026-11-28 09:50:04.860 UTC [24602] LOG:  database system is shut down\n",
		"2026-11-28 09:50:04.859 UTC [24602] FATAL:  could not create any TCP/IP sockets",
	},
	"Consul's agent": {
		"2026-11-28T09:55:21.206Z [ERROR] agent: Error starting agent: error=\"listen tcp 192.0.2.1:1: bind: cannot assign requested address\"\n" +
			"2026-11-28T09:55:21.206Z [INFO]  agent: Exit code: code=1\n",
		"2026-11-28T09:55:21.206Z [ERROR] agent: Error starting agent: error=\"listen tcp 192.0.2.1:1: bind: cannot assign requested address\"",
	},
	"Consul's configuration": {
		"==> failed to parse bad.hcl: 1 error occurred:\n\t* invalid config key nonsense\n\n\n",
		"==> failed to parse bad.hcl: 1 error occurred: * invalid config key nonsense",
	},
	"Envoy": {
		"[2026-11-28 09:55:21.606][10817][critical][main] [source/server/server.cc:449] error initializing config '/dev/fd/3'\n" +
			"[2026-11-28 09:55:21.606][10817][info][main] [source/server/server.cc:1026] exiting\n",
		"[2026-11-28 09:55:21.606][10817][critical][main] [source/server/server.cc:449] error initializing config '/dev/fd/3'",
	},
	"a program's sentence": {
		`{"time":"2026-11-28T09:00:00Z","level":"ERROR","msg":"something else","error":"x"}` + "\nGATEHOUSE_AUTH_KEY_FILE is not set: name a file\n",
		"GATEHOUSE_AUTH_KEY_FILE is not set: name a file",
	},
	"a program's log": {
		`{"time":"2026-11-28T09:00:00Z","level":"ERROR","msg":"a listener ended; stopping","error":"address in use"}` + "\n" +
			`{"time":"2026-11-28T09:00:00Z","level":"INFO","msg":"stopped"}` + "\n",
		"a listener ended; stopping: address in use",
	},
	"a program that goes on": {
		`{"level":"WARN","msg":"background work fails","work":"relay","error":"no route"}` + "\n" + `{"level":"WARN","msg":"slow"}` + "\n",
		"background work fails: no route",
	},
	"a panic": {
		"panic: nothing is there\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:5 +0x1d\n",
		"panic: nothing is there",
	},
	"nothing that accuses": {"2026-11-28T09:55:21Z [INFO]  agent: one\n2026-11-28T09:55:21Z [INFO]  agent: two\n", "2026-11-28T09:55:21Z [INFO]  agent: two"},
	"nothing":              {"\n", ""},
}

// What a process ended of is told, and not how it tidied up. The logs are as the programs wrote
// them.
func TestTheReasonIsTold(t *testing.T) {
	for name, c := range endings {
		p := testPlatform(t)
		log := p.opts.Dir.Log("part")
		const before = "panic: of an earlier start\n"
		if err := os.WriteFile(log, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		p.logged = logSizes(p.opts.Dir.Logs())
		if err := os.WriteFile(log, []byte(before+c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		want := "it ended"
		if c.want != "" {
			want += ": " + c.want
		}
		got := p.explain("part", errors.New("it ended")).Error()
		if got != want+" (log: "+log+")" {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
		if strings.Contains(got, "earlier start") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What waiting does not fix is told at once; the rest is tried again.
func TestAwaitGivesUpWhereWaitingIsInVain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tries := 0
	err := testPlatform(t).await(ctx, nil, "PostgreSQL", func(context.Context) error {
		if tries++; tries < 3 {
			return errors.New("it is starting")
		}
		return fmt.Errorf("it answers: %w", permanent{errors.New("the password is wrong")})
	})
	if err == nil || err.Error() != "PostgreSQL cannot be used: it answers: the password is wrong" || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
