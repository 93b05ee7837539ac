package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// password is nobody's outside of these cases.
const password = "correct horse battery staple"

// Auth is a running AuthService with its VerificationService.
type Auth struct {
	Server *grpctest.Server
	// Read makes the feed of revocations look at what has ended, where nothing in the background
	// does.
	Read func()
}

// Run runs the cases, each with a login of its own.
func (a Auth) Run(t *testing.T) {
	for name, run := range map[string]func(t *testing.T){
		"taken":       a.taken,
		"credentials": a.credentials,
		"session":     a.session,
	} {
		t.Run(name, run)
	}
}

func (a Auth) people() authv1.AuthServiceClient {
	return authv1.NewAuthServiceClient(a.Server.As("gateway"))
}

// signedUp returns the address of a new login.
func (a Auth) signedUp(t *testing.T) string {
	t.Helper()
	email := "k" + uuid.NewString() + "@example.com"
	r, err := a.people().SignUp(t.Context(), &authv1.SignUpRequest{Email: email, Password: password, DisplayName: "Ada"})
	check.NoError(t, err)
	if u := r.GetUser(); u.GetEmail() != email || u.GetDisplayName() != "Ada" || u.GetId() == "" || u.GetOrganizationId() == "" {
		t.Fatalf("signed up %v", u)
	}
	return email
}

func (a Auth) taken(t *testing.T) {
	email := a.signedUp(t)
	for _, again := range []string{email, "K" + email[1:]} {
		_, err := a.people().SignUp(t.Context(), &authv1.SignUpRequest{Email: again, Password: password, DisplayName: "Eve"})
		refused(t, err, apierr.AlreadyExists, "EMAIL_TAKEN")
	}
}

func (a Auth) credentials(t *testing.T) {
	email := a.signedUp(t)
	for name, r := range map[string]*authv1.SignInRequest{
		"wrong password":  {Email: email, Password: password + "r"},
		"unknown address": {Email: "x" + email, Password: password},
	} {
		_, err := a.people().SignIn(t.Context(), r)
		if err == nil {
			t.Fatalf("%s is taken", name)
		}
		refused(t, err, apierr.Unauthenticated, "INVALID_CREDENTIALS")
	}
}

// session: an access token is signed with a key that is published, and its session is told when it
// ends.
func (a Auth) session(t *testing.T) {
	email := a.signedUp(t)
	in, err := a.people().SignIn(t.Context(), &authv1.SignInRequest{Email: "K" + email[1:], Password: password})
	check.NoError(t, err)
	if in.GetTokenType() != "Bearer" || in.GetExpiresIn() <= 0 || in.GetRefreshToken() == "" {
		t.Errorf("signed in with %s, %d s, refresh token %t", in.GetTokenType(), in.GetExpiresIn(), in.GetRefreshToken() != "")
	}
	var header struct{ KID string }
	var claims struct{ SID string }
	parts := strings.Split(in.GetAccessToken(), ".")
	decode(t, parts[0], &header)
	decode(t, parts[1], &claims)
	verification := authv1.NewVerificationServiceClient(a.Server.As("identity"))
	keys, err := verification.GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	check.NoError(t, err)
	if !slices.ContainsFunc(keys.GetKeys(), func(k *authv1.JsonWebKey) bool { return k.GetKid() == header.KID }) || keys.GetMaxAge().AsDuration() <= 0 {
		t.Errorf("the key %s is not one of %v", header.KID, keys)
	}
	ended := a.watch(t, verification)
	bearer := a.Server.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+in.GetAccessToken())
	_, err = authv1.NewAuthServiceClient(bearer).SignOut(t.Context(), &authv1.SignOutRequest{})
	check.NoError(t, err)
	a.Read()
	for !slices.Contains(ended(), claims.SID) {
	}
}

// watch follows the revocations; what it returns waits for a message and returns its sessions.
func (a Auth) watch(t *testing.T, v authv1.VerificationServiceClient) func() []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	stream, err := v.WatchRevocations(ctx, &authv1.WatchRevocationsRequest{})
	check.NoError(t, err)
	next := func() (sessions []string) {
		r, err := stream.Recv()
		check.NoError(t, err)
		for _, revoked := range r.GetRevocations() {
			sessions = append(sessions, revoked.GetSessionId())
		}
		return sessions
	}
	next() // it has begun
	return next
}

// decode reads a part of a token.
func decode(t *testing.T, part string, into any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	check.NoError(t, err)
	check.NoError(t, json.Unmarshal(text, into))
}
