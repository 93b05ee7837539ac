package e2e_test

import "net/http"

// invitationCalls are those of the methods about invitations. Without mail nobody is invited, and
// whom the walk is about has accepted long ago.
func invitationCalls() map[string]routeCall {
	const path = "/api/v1/invitations"
	return map[string]routeCall{
		"/gatehouse.identity.v1.InvitationService/InviteUser": {served: http.StatusBadRequest, request: func(of person) request {
			return request{method: "POST", path: path, body: map[string]string{"organization_id": of.organization, "email": newEmail()}}
		}},
		"/gatehouse.identity.v1.InvitationService/ResendInvitation": {served: http.StatusBadRequest, request: func(of person) request {
			return request{method: "POST", path: path + "/" + of.id + ":resend", body: map[string]string{}}
		}},
		"/gatehouse.identity.v1.InvitationService/CancelInvitation": {served: http.StatusBadRequest, request: func(of person) request {
			return request{method: "DELETE", path: path + "/" + of.id}
		}},
		"/gatehouse.auth.v1.InvitationService/AcceptInvitation": {public: http.StatusUnauthorized, request: func(person) request {
			return request{method: "POST", path: "/api/v1/auth/accept-invitation", body: map[string]string{"code": "nobody's", "password": password}}
		}},
	}
}
