package e2e_test

import "net/http"

// mailCalls are those of the methods that send mail, on a platform that sends none.
func mailCalls() map[string]routeCall {
	return map[string]routeCall{
		"/gatehouse.auth.v1.MailService/SendTestMail": {served: http.StatusBadRequest, request: func(of person) request {
			return request{method: "POST", path: "/api/v1/mails:test", body: map[string]string{"email": of.email}}
		}},
		"/gatehouse.auth.v1.MailService/GetMail": {served: http.StatusNotFound, request: func(of person) request {
			return request{method: "GET", path: "/api/v1/mails/" + of.id}
		}},
		"/gatehouse.auth.v1.RecoveryService/Recover": {public: http.StatusBadRequest, request: func(of person) request {
			return request{method: "POST", path: "/api/v1/auth/recover", body: map[string]string{"email": of.email}}
		}},
		"/gatehouse.auth.v1.RecoveryService/ResetPassword": {public: http.StatusUnauthorized, request: func(person) request {
			return request{method: "POST", path: "/api/v1/auth/reset-password", body: map[string]string{"code": "nobody's", "new_password": password}}
		}},
		"/gatehouse.auth.v1.RecoveryService/StartUserReset": {served: http.StatusBadRequest, request: func(of person) request {
			return request{method: "POST", path: of.path() + ":reset"}
		}},
		"/gatehouse.auth.v1.EmailService/ChangeEmail": {anybody: true, served: http.StatusBadRequest, request: func(person) request {
			return request{method: "POST", path: "/api/v1/me/email", body: map[string]string{"new_email": newEmail()}}
		}},
		"/gatehouse.auth.v1.EmailService/ConfirmEmail": {anybody: true, served: http.StatusUnauthorized, request: func(person) request {
			return request{method: "POST", path: "/api/v1/me/email:confirm", body: map[string]string{"code": "nobody's"}}
		}},
	}
}
