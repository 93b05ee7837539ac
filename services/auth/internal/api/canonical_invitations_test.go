package api_test

import (
	"regexp"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// inviting is the logins where mail is configured.
func (f *fixed) inviting() *login.Service {
	p := f.logins.Params
	p.Desk = f.office.Desk
	return login.NewService(p)
}

// acceptInvitations invites two people, who accept over the API and on the page.
func (f *fixed) acceptInvitations(t *testing.T) {
	t.Helper()
	const ida, ivo = "77777777-7777-4777-8777-777777777777", "88888888-8888-4888-8888-888888888888"
	identity := authv1.NewInvitationServiceClient(f.Through("identity", "invite-login"))
	invited := func(userID, address string) string {
		_, err := identity.InviteLogin(t.Context(), &authv1.InviteLoginRequest{UserId: userID, Email: address, DisplayName: "I.", Language: "de", Revision: 1})
		check.NoError(t, err)
		for _, m := range f.office.Read(t, f.Mails) {
			if code := regexp.MustCompile(`accept-invitation\?code=(\S+)`).FindStringSubmatch(m.Text); m.To == address && code != nil {
				return code[1]
			}
		}
		t.Fatal("no mail")
		return ""
	}
	people := authv1.NewInvitationServiceClient(f.Through("gateway", "accept-invitation"))
	request := &authv1.AcceptInvitationRequest{Code: invited(ida, "ida@example.com"), Password: pass}
	_, err := people.AcceptInvitation(t.Context(), request)
	check.NoError(t, err)
	_, err = people.AcceptInvitation(t.Context(), request)
	refused(t, err, codes.Unauthenticated, "INVALID_MAILED_CODE")
	pages := authv1.NewPageServiceClient(f.Through("gateway", "page-accept-invitation"))
	shown, err := pages.SubmitAcceptInvitation(t.Context(), &authv1.SubmitAcceptInvitationRequest{
		Http: form("", "code", invited(ivo, "ivo@example.com"), "password", pass, "repeat", pass),
	})
	if err != nil || shown.GetHttp().GetStatus() != 303 {
		t.Fatalf("%v, %v", shown.GetHttp().GetStatus(), err)
	}
}
