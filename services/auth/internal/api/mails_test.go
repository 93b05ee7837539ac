package api_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Who has the right sends a test mail, in the language of the request, and asks what became of it;
// nobody else does either.
func TestAdministratorsTryMail(t *testing.T) {
	a := newAuth(t)
	userID := a.signUp()
	token := a.signIn().GetAccessToken()
	mails := authv1.NewMailServiceClient(a.Dial(
		request.CallerHeader, grpctest.SPIFFE("gateway"), request.ClientLanguageHeader, "de", "authorization", "Bearer "+token))
	ask := &authv1.SendTestMailRequest{Email: "eve@example.com"}
	_, err := mails.SendTestMail(t.Context(), ask)
	refused(t, err, codes.PermissionDenied, "PERMISSION_DENIED")
	a.grants.Allow(userID, "can_manage_mail", "platform:gatehouse")
	queued, err := mails.SendTestMail(t.Context(), ask)
	check.NoError(t, err)
	got, err := mails.GetMail(t.Context(), &authv1.GetMailRequest{Id: queued.GetMail().GetId()})
	if m := got.GetMail(); err != nil || m.GetKind() != string(mail.Test) || m.GetParked() || m.GetExpireTime() == nil {
		t.Errorf("it is %v, %v", m, err)
	}
	if read := a.office.Read(t, a.Mails); len(read) != 1 || read[0].To != "eve@example.com" || read[0].Language != "de" || read[0].ID != queued.GetMail().GetId() {
		t.Errorf("sent %+v", read)
	}
	_, err = mails.GetMail(t.Context(), &authv1.GetMailRequest{Id: queued.GetMail().GetId()})
	refused(t, err, codes.NotFound, "MAIL_NOT_FOUND")
}
