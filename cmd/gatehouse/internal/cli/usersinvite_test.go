package cli_test

import (
	"slices"
	"strings"
	"testing"
)

const invitedUser = `{"id":"u1","organization_id":"o1","email":"ada@example.com\u001b[2J","state":"STATE_INVITED"}`

// Somebody is invited to the organization that is named, or to that of who invites; an invitation
// is found by id or address. Control characters are shown (R92).
func TestUsersInvite(t *testing.T) {
	const lookup = "GET /api/v1/users?filter=email+%3D+%22ada%40example.com%22"
	environ, sent := provider(t, map[string]string{
		"GET /api/v1/me":           `{"user":{"id":"u0","organization_id":"o1"},"permissions":[]}`,
		"POST /api/v1/invitations": invitedUser, "POST /api/v1/invitations/u1:resend": invitedUser, "DELETE /api/v1/invitations/u1": ``,
		lookup: `{"users":[` + invitedUser + `]}`, lookup + "&organization_id=o1": `{"users":[` + invitedUser + `]}`,
	})
	for _, c := range []struct {
		args []string
		want string
		sent []string
	}{
		{[]string{"invite", "ada@example.com"}, `ada@example.com\u001b[2J (u1) is invited: the mailed link is good for seven days.`,
			[]string{"GET /api/v1/me", `POST /api/v1/invitations {"organization_id":"o1","email":"ada@example.com"}`}},
		{[]string{"invite", "ada@example.com", "--organization", "o2", "--name", "Ada"}, "(u1) is invited",
			[]string{`POST /api/v1/invitations {"organization_id":"o2","email":"ada@example.com","display_name":"Ada"}`}},
		{[]string{"resend", "u1"}, `ada@example.com\u001b[2J (u1) is mailed another link`, []string{"POST /api/v1/invitations/u1:resend {}"}},
		{[]string{"resend", "ada@example.com", "--organization", "o1"}, "(u1) is mailed another link", []string{lookup + "&organization_id=o1", "POST /api/v1/invitations/u1:resend {}"}},
		{[]string{"cancel", "ada@example.com"}, "The invitation of ada@example.com is cancelled", []string{lookup, "DELETE /api/v1/invitations/u1"}},
		{[]string{"cancel", "u1"}, "The invitation of u1 is cancelled", []string{"DELETE /api/v1/invitations/u1"}},
	} {
		*sent = nil
		code, out, problem := run(t, environ, append([]string{"users"}, c.args...)...)
		if code != 0 || out != "" || !strings.Contains(problem, c.want) || strings.Count(problem, "\n") != 1 || !slices.Equal(*sent, c.sent) {
			t.Errorf("%v: %d %q %q, sent %q", c.args, code, out, problem, *sent)
		}
	}
}

func TestUsersInviteRefusals(t *testing.T) {
	const noMail = `400!{"status":400,"reason":"MAIL_NOT_CONFIGURED","detail":"no mail is configured: set GATEHOUSE_MAIL_SMTP_URL"}`
	const accepted = `400!{"status":400,"reason":"USER_NOT_INVITED","detail":"it was accepted"}`
	for name, c := range map[string]struct {
		args    []string
		answers map[string]string
		want    string
	}{
		"no mail": {[]string{"invite", "ada@example.com", "--organization", "o"}, map[string]string{"POST /api/v1/invitations": noMail},
			"MAIL_NOT_CONFIGURED: no mail is configured: set GATEHOUSE_MAIL_SMTP_URL"},
		"taken": {[]string{"invite", "ada@example.com", "--organization", "o"},
			map[string]string{"POST /api/v1/invitations": `409!{"status":409,"reason":"EMAIL_TAKEN","detail":"there already"}`},
			"there already: gatehouse users resend mails an invitation again"},
		"bad address": {[]string{"invite", "ada", "--organization", "o"},
			map[string]string{"POST /api/v1/invitations": `400!{"status":400,"reason":"INVALID_ARGUMENT","detail":"no good","errors":[{"field":"email","description":"must be one\u202e"}]}`},
			`no good: email must be one\u202e`},
		"nobody":           {[]string{"invite", "ada@example.com"}, nil, "sign in as an administrator"},
		"foreign":          {[]string{"invite", "ada@example.com", "--organization", "o"}, nil, "sign in as an administrator"},
		"no mail again":    {[]string{"resend", "u1"}, map[string]string{"POST /api/v1/invitations/u1:resend": noMail}, "set GATEHOUSE_MAIL_SMTP_URL"},
		"foreign again":    {[]string{"resend", "u1"}, nil, "sign in as an administrator"},
		"foreign's end":    {[]string{"cancel", "u1"}, nil, "sign in as an administrator"},
		"accepted":         {[]string{"resend", "u1"}, map[string]string{"POST /api/v1/invitations/u1:resend": accepted}, "USER_NOT_INVITED: it was accepted"},
		"cancelled late":   {[]string{"cancel", "u1"}, map[string]string{"DELETE /api/v1/invitations/u1": accepted}, "USER_NOT_INVITED: it was accepted"},
		"cancelled nobody": {[]string{"cancel", "no@example.com"}, map[string]string{"GET /api/v1/users?filter=email+%3D+%22no%40example.com%22": `{"users":[]}`}, "nobody has the address no@example.com"},
	} {
		environ, _ := provider(t, c.answers)
		code, out, problem := run(t, environ, append([]string{"users"}, c.args...)...)
		if code != 1 || out != "" || !strings.Contains(problem, c.want) || strings.Count(problem, "\n") != 1 {
			t.Errorf("%s: %d %q %q, want %q", name, code, out, problem, c.want)
		}
	}
}
