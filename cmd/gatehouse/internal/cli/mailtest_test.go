package cli_test

import (
	"strings"
	"testing"
)

// The command says what became of the mail: each in one sentence.
func TestMailTest(t *testing.T) {
	const queued, asked = "POST /api/v1/mails:test", "GET /api/v1/mails/m1"
	for name, c := range map[string]struct {
		answers map[string]string
		code    int
		want    string
	}{
		"accepted": {map[string]string{asked: `404!{"status":404,"reason":"MAIL_NOT_FOUND","detail":"gone"}`}, 0, "accepted by the mail server: look for it at ada@example.com"},
		"retried":  {map[string]string{asked: `{"id":"m1","attempts":1,"reason":"the mail server answers 451\u001b to DATA"}`}, 1, `tried again for ten minutes: the mail server answers 451\u001b to DATA`},
		"parked":   {map[string]string{asked: `{"id":"m1","attempts":1,"parked":true,"reason":"the mail server answers 550 to RCPT"}`}, 1, "parked, and not tried again: the mail server answers 550 to RCPT"},
		"silent":   {map[string]string{asked: `{"id":"m1","attempts":1}`}, 1, "has not answered yet: the log of auth says what becomes of mail m1"},
		"no mail":  {map[string]string{queued: `400!{"status":400,"reason":"MAIL_NOT_CONFIGURED","detail":"no mail is configured: set GATEHOUSE_MAIL_SMTP_URL"}`}, 1, "no mail is configured: set GATEHOUSE_MAIL_SMTP_URL"},
		"nobody's": {map[string]string{queued: `403!{"status":403,"reason":"PERMISSION_DENIED","detail":"No."}`}, 1, "sign in as an administrator"},
	} {
		if c.answers[queued] == "" {
			c.answers[queued] = `{"mail":{"id":"m1"}}`
		}
		environ, sent := provider(t, c.answers)
		code, out, problem := run(t, environ, "mail", "test", "ada@example.com", "--wait", "300ms")
		if code != c.code || !strings.Contains(out+problem, c.want) || strings.Count(problem, "\n") > 2 {
			t.Errorf("%s: %d %q %q, want %q", name, code, out, problem, c.want)
		}
		if (*sent)[0] != queued+` {"email":"ada@example.com"}` {
			t.Errorf("%s: sent %v", name, *sent)
		}
	}
}
