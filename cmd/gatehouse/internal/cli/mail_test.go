package cli_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/supervise"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// opsPort is that of Auth's ops listener, without an offset.
const opsPort = 8482

// mailbox is a running platform whose mailbox answers so; it returns its state folder.
func mailbox(t *testing.T, status int, answer string) (root string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mailbox" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	root = t.TempDir()
	dir, err := state.Open(root)
	check.NoError(t, err)
	check.NoError(t, dir.Prepare())
	self, err := supervise.Identify(os.Getpid())
	check.NoError(t, err)
	offset := server.Listener.Addr().(*net.TCPAddr).Port - opsPort
	check.NoError(t, dir.Write(state.Record{Supervisor: self, Offset: offset, Consul: "127.0.0.1:1", ServicePrefix: "gatehouse-"}))
	return root
}

const twoMails = `{"mails": [
	{"id": "b", "create_time": "2026-11-29T12:00:01Z", "to": "eve@example.com", "subject": "Second \u001b[2J", "text": "Two\n", "html": "<p>Two</p>"},
	{"id": "a", "create_time": "2026-11-29T12:00:00Z", "to": "ada@example.com", "subject": "First", "text": "One\n", "html": "<p>One</p>"}]}`

func TestMailsOfTheMailbox(t *testing.T) {
	root := mailbox(t, http.StatusOK, twoMails)
	for args, want := range map[string]string{
		"list":           "a  2026-11-29T12:00:00Z  ada@example.com  First\nb  2026-11-29T12:00:01Z  eve@example.com  Second \\u001b[2J\n",
		"show a":         "To: ada@example.com\nSubject: First\n\nOne\n",
		"show":           "To: eve@example.com\nSubject: Second \\u001b[2J\n\nTwo\n",
		"show a -o json": `{"id":"a","create_time":"2026-11-29T12:00:00Z","to":"ada@example.com","subject":"First","text":"One\n","html":"<p>One</p>"}` + "\n",
	} {
		code, out, problem := run(t, []string{"GATEHOUSE_CLI_STATE=" + root}, append([]string{"mail"}, strings.Fields(args)...)...)
		if code != 0 || out != want {
			t.Errorf("%s: %d %q %s, want %q", args, code, out, problem, want)
		}
	}
	if code, _, problem := run(t, []string{"GATEHOUSE_CLI_STATE=" + root}, "mail", "show", "c"); code != 1 || !strings.Contains(problem, "gatehouse mail list") {
		t.Errorf("show c: %d %s", code, problem)
	}
}

func TestWithoutAMailboxTheCommandSaysHowToHaveOne(t *testing.T) {
	root := mailbox(t, http.StatusNotFound, "")
	if code, _, problem := run(t, []string{"GATEHOUSE_CLI_STATE=" + root}, "mail", "list"); code != 1 || !strings.Contains(problem, "GATEHOUSE_MAIL_MAILBOX=true") {
		t.Errorf("%d %s", code, problem)
	}
	empty := mailbox(t, http.StatusOK, `{"mails": []}`)
	if code, _, problem := run(t, []string{"GATEHOUSE_CLI_STATE=" + empty}, "mail", "show"); code != 1 || !strings.Contains(problem, "no mail yet") {
		t.Errorf("%d %s", code, problem)
	}
}
