package e2e_test

import "net/http"

// proofCalls are those of the methods by which people prove more than a password, of whom has no
// second factor and no mailed code.
func proofCalls() map[string]routeCall {
	const auth, factors = "/gatehouse.auth.v1.AuthService/", "/gatehouse.auth.v1.FactorService/"
	post := func(path string, body any) func(person) request {
		return func(person) request { return request{method: "POST", path: path, body: body} }
	}
	policy := func(method string, body any) func(person) request {
		return func(of person) request {
			return request{method: method, path: "/api/v1/organizations/" + of.organization + "/sign-in-policy", body: body}
		}
	}
	return map[string]routeCall{
		auth + "AnswerChallenge": {public: http.StatusUnauthorized, request: post("/api/v1/auth/sign-in/challenge", map[string]string{"token": "nobody's", "code": "123456"})},
		auth + "VerifyEmail":     {public: http.StatusUnauthorized, request: post("/api/v1/auth/verify-email", map[string]string{"code": "nobody's", "password": password})},
		"/gatehouse.auth.v1.SessionService/RequestEmailVerification": {anybody: true, served: http.StatusBadRequest,
			request: post("/api/v1/me/email:verify", map[string]string{})},
		factors + "OfferTotp": {anybody: true, request: post("/api/v1/me/totp", map[string]string{})},
		factors + "ConfirmTotp": {anybody: true, served: http.StatusBadRequest,
			request: post("/api/v1/me/totp:confirm", map[string]string{"token": "nobody's", "code": "123456"})},
		factors + "RemoveTotp":           {anybody: true, request: func(person) request { return request{method: "DELETE", path: "/api/v1/me/totp"} }},
		factors + "ReplaceRecoveryCodes": {anybody: true, served: http.StatusBadRequest, request: post("/api/v1/me/recovery-codes", map[string]string{})},
		factors + "GetMyFactors":         {anybody: true, request: func(person) request { return request{method: "GET", path: "/api/v1/me/factors"} }},
		factors + "GetSignInPolicy":      {request: policy("GET", nil)},
		factors + "SetSignInPolicy":      {request: policy("PUT", map[string]bool{"second_factor_required": false})},
	}
}
