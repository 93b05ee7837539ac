package api_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	authclient "github.com/gatehouse/gatehouse/internal/client/auth"
	"github.com/gatehouse/gatehouse/internal/refusals"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/api"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

const (
	email = "ada@example.com"
	pass  = "correct horse battery staple"

	secret = "a bootstrap secret of enough characters"
)

// identityToken is the consistency token of every user that Identity makes.
func identityToken() string {
	return request.TokenOf("0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a11").String()
}

// directory stands in for Identity, which is beyond the mesh.
type directory struct {
	mu   sync.Mutex
	fail error
}

func (d *directory) CreateUser(_ context.Context, n login.NewUser) (login.User, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return login.User{
		ID: n.ID, OrganizationID: "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10", Email: n.Email, DisplayName: n.DisplayName, ETag: "1",
		ConsistencyToken: identityToken(),
	}, d.fail
}

func (d *directory) SetEmail(context.Context, login.Email) error { return d.fail }

func (d *directory) ActivateUser(ctx context.Context, userID string) (login.User, error) {
	return d.CreateUser(ctx, login.NewUser{ID: userID})
}

// logBuffer collects the log of a server.
type logBuffer struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// auth is Auth behind the real chain, on a real database, without its background loops: tests turn them by hand.
type auth struct {
	*grpctest.Server
	*postgrestest.Database
	t        *testing.T
	identity *directory
	grants   *grpctest.Grants
	feed     *session.Feed
	sessions *session.Service
	browsers *session.Browsers
	keeper   *signingkey.Keeper
	ended    *ended
	list     *token.RevocationList
	log      logBuffer
	people   authv1.AuthServiceClient
	office   mailtest.Office
	ahead    time.Duration // of the clock of second factors
	before   int           // events that came before the test
	follower *session.Follower
}

// resets are recoveries by mail.
func (a *auth) resets(hasher login.Hasher, log *slog.Logger) *reset.Service {
	return reset.NewService(reset.Params{
		Store: a.Resets, Logins: a.Logins, Codes: a.MailedCodes, Hasher: hasher, Throttle: a.Throttled(time.Now), Desk: a.office.Desk,
		RevocationPeriod: time.Hour, Now: time.Now, Wake: a.feed.Wake, Log: log,
	})
}

// trials are mails that administrators try.
func (a *auth) trials() *mail.Trials {
	return mail.NewTrials(mail.TrialParams{
		Store: postgres.NewMailTrials(a.Pool, a.Outbox, a.Mails), Desk: a.office.Desk, NewID: uuid.NewString, Wake: func() {},
	})
}

func newAuth(t *testing.T, change ...func(*grpctest.Config)) *auth {
	t.Helper()
	db := postgrestest.Open(t)
	a := &auth{Database: db, t: t, identity: &directory{}, grants: grpctest.NewGrants(), ended: &ended{Store: db.Sessions}, office: mailtest.NewOffice(t, time.Now)}
	log := slog.New(slog.NewJSONHandler(&a.log, nil))
	hasher, err := password.NewPool(password.Parameters{Memory: 64, Time: 1, Threads: 1}, 4, 100, rand.Reader, func(context.Context) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	_, a.keeper = signingKeys(t, db, rand.Reader, time.Now)
	a.before = len(a.Recorded(t)) // the making of the keys
	a.feed = session.NewFeed(a.ended, time.Now)
	a.list = token.NewRevocationList(func() time.Time { return time.Unix(0, 0) }) // never stale
	logins := login.NewService(login.Params{
		Config: login.Config{
			CreateUserTimeout: 5 * time.Second, SignUpGrace: time.Minute, RetryInterval: 10 * time.Second, RevocationPeriod: time.Hour,
			SignUps: login.SignUpsOpen, BootstrapSecret: secret,
		},
		Store: db.Logins, Directory: a.identity, Hasher: hasher, Throttle: db.Throttled(time.Now), NewID: uuid.NewString, Now: time.Now, Wake: a.feed.Wake, Log: log,
	})
	config := session.Config{
		Issuer: "https://id.example", Audience: "gatehouse", AccessTTL: 10 * time.Minute, Lifetime: time.Hour, Idle: time.Hour, BrowserIdle: time.Hour,
	}
	a.browsers = session.NewBrowsers(session.BrowserParams{
		Config: session.BrowserConfig{Lifetime: time.Hour, Idle: time.Hour}, Store: db.Browsers, NewID: uuid.NewString, Random: rand.Reader, Now: time.Now,
		Wake: a.feed.Wake,
	})
	overview := session.NewOverview(session.OverviewParams{Config: config, Store: db.Overview, Desk: a.office.Desk, Now: time.Now, Wake: a.feed.Wake})
	a.sessions = session.NewService(session.Params{
		Config: config,
		Store:  db.Sessions, Signer: a.keeper, NewID: uuid.NewString, Random: rand.Reader, Now: time.Now, Wake: a.feed.Wake, Log: log,
	})
	factors := db.FactorService(func() time.Time { return time.Now().Add(a.ahead) })
	c := grpctest.Config{
		Program: "auth", Log: &a.log, Refusals: refusals.New(db.Outbox), Permissions: a.grants,
		Verifier: token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, a.keeper, a.list, time.Now),
		Registrations: []grpcserver.Registration{
			{Desc: &authv1.AuthService_ServiceDesc, Impl: api.NewAuthService(logins, factors, a.sessions)},
			{Desc: &authv1.FactorService_ServiceDesc, Impl: api.NewFactorService(factors)},
			{Desc: &authv1.SessionService_ServiceDesc, Impl: api.NewSessionService(logins, overview)},
			{Desc: &authv1.LoginService_ServiceDesc, Impl: api.NewLoginService(logins)},
			{Desc: &authv1.VerificationService_ServiceDesc, Impl: api.NewVerificationService(a.keeper, a.feed)},
			{Desc: &authv1.ClientService_ServiceDesc, Impl: api.NewClientService(a.clients())},
			{Desc: &authv1.RecoveryService_ServiceDesc, Impl: api.NewRecoveryService(a.resets(hasher, log))},
			{Desc: &authv1.MailService_ServiceDesc, Impl: api.NewMailService(a.trials())},
			{Desc: &authv1.ClientDirectoryService_ServiceDesc, Impl: api.NewClientDirectoryService(db.Clients)},
		},
	}
	for _, f := range change {
		f(&c)
	}
	a.Server = grpctest.New(t, c)
	a.people = authv1.NewAuthServiceClient(a.As("gateway"))
	var stop func()
	a.follower, stop = a.feed.Follow()
	t.Cleanup(stop)
	a.read()
	return a
}

// clients are the rules of clients over the database.
func (a *auth) clients() *client.Service {
	return client.NewService(client.Params{
		Store: a.Clients, Own: []string{"https://id.example", "gatehouse"}, NewID: uuid.NewString, Random: rand.Reader, Now: time.Now,
		Wake: a.feed.Wake, RevocationPeriod: time.Hour,
	})
}

// read turns the feed once and feeds Auth's own list, as the background work does.
func (a *auth) read() {
	a.t.Helper()
	if err := a.feed.Read(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	updates, _ := a.follower.Take()
	for _, u := range updates {
		var ended []token.Revocation
		for _, r := range u {
			ended = append(ended, token.Revocation{SessionID: r.SessionID, ExpiresAt: r.ExpireTime})
		}
		a.list.Apply(true, ended)
	}
}

// bearer is a connection of the gateway with an access token.
func (a *auth) bearer(access string) *grpc.ClientConn {
	return a.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+access)
}

func (a *auth) signUp() string {
	a.t.Helper()
	resp, err := a.people.SignUp(a.t.Context(), &authv1.SignUpRequest{Email: email, Password: pass, DisplayName: "Ada"})
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.GetUser().GetId()
}

func (a *auth) signIn() *authv1.SignInResponse {
	a.t.Helper()
	resp, err := a.people.SignIn(a.t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	if err != nil {
		a.t.Fatal(err)
	}
	return resp
}

// refused checks code and reason of a refusal.
func refused(t *testing.T, err error, code codes.Code, reason string) apierr.Error {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("err = %v, want %s", err, code)
	}
	e := rpcstatus.ToError(status.Convert(err))
	if e.Reason != reason {
		t.Fatalf("reason = %s (%v), want %s", e.Reason, err, reason)
	}
	return *e
}

func TestSignUpSignInRefreshSignOut(t *testing.T) {
	a := newAuth(t)
	id := a.signUp()
	in := a.signIn()
	if in.GetTokenType() != "Bearer" || in.GetExpiresIn() != 600 {
		t.Fatalf("tokens = %s for %d s", in.GetTokenType(), in.GetExpiresIn())
	}
	next, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	if next.GetTokenType() != "Bearer" || next.GetExpiresIn() != 600 || next.GetAccessToken() == in.GetAccessToken() {
		t.Fatalf("refreshed tokens = %s for %d s", next.GetTokenType(), next.GetExpiresIn())
	}
	signedIn := authv1.NewAuthServiceClient(a.bearer(next.GetAccessToken()))
	if _, err := signedIn.SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: next.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	a.read()
	for _, access := range []string{in.GetAccessToken(), next.GetAccessToken()} { // both are of the ended session
		_, err = authv1.NewAuthServiceClient(a.bearer(access)).SignOut(t.Context(), &authv1.SignOutRequest{})
		refused(t, err, codes.Unauthenticated, "TOKEN_REVOKED")
	}
	if log := a.log.String(); !strings.Contains(log, "SignIn") { // the canaries below are looked for in something
		t.Fatalf("log = %s", log)
	}
	for name, secret := range map[string]string{ // R74
		"password": pass, "email": email, "access token": in.GetAccessToken(), "refresh token": in.GetRefreshToken(),
	} {
		if strings.Contains(a.log.String(), secret) {
			t.Errorf("the log of user %s holds the %s", id, name)
		}
	}
}

func TestSignUpRefusals(t *testing.T) {
	a := newAuth(t)
	a.signUp()
	long := strings.Repeat("a", 64) + "@" + strings.Repeat("b", 200) + ".com"
	for name, c := range map[string]struct {
		req    *authv1.SignUpRequest
		code   codes.Code
		reason string
		field  string
	}{
		"taken":           {&authv1.SignUpRequest{Email: "ADA@example.com", Password: pass}, codes.AlreadyExists, "EMAIL_TAKEN", ""},
		"no address":      {&authv1.SignUpRequest{Email: "ada", Password: pass}, codes.InvalidArgument, "INVALID_ARGUMENT", "email"},
		"NUL in address":  {&authv1.SignUpRequest{Email: "a\x00@example.com", Password: pass}, codes.InvalidArgument, "INVALID_ARGUMENT", "email"},
		"long address":    {&authv1.SignUpRequest{Email: long, Password: pass}, codes.InvalidArgument, "INVALID_ARGUMENT", "email"},
		"short password":  {&authv1.SignUpRequest{Email: "b@example.com", Password: "14 characters."}, codes.InvalidArgument, "INVALID_ARGUMENT", "password"},
		"long password":   {&authv1.SignUpRequest{Email: "b@example.com", Password: strings.Repeat("é", 257)}, codes.InvalidArgument, "INVALID_ARGUMENT", "password"},
		"guessable":       {&authv1.SignUpRequest{Email: "b@example.com", Password: "gatehouse gatehouse"}, codes.InvalidArgument, "PASSWORD_REFUSED", "password"},
		"control in name": {&authv1.SignUpRequest{Email: "b@example.com", Password: pass, DisplayName: "a\nb"}, codes.InvalidArgument, "INVALID_ARGUMENT", "display_name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.people.SignUp(t.Context(), c.req)
			e := refused(t, err, c.code, c.reason)
			if c.field != "" && (len(e.Fields) == 0 || e.Fields[0].Path != c.field || e.Fields[0].Rule == "" || e.Fields[0].Description == "") {
				t.Fatalf("fields = %+v, want %s with its rule", e.Fields, c.field)
			}
			if strings.Contains(err.Error(), c.req.GetPassword()) {
				t.Fatal("the answer repeats the password")
			}
		})
	}
}

func TestSignUpWithoutIdentityIs503AndThenCompletes(t *testing.T) {
	a := newAuth(t)
	a.identity.fail = apierr.New(apierr.Unavailable, "UPSTREAM_UNAVAILABLE", "down")
	_, err := a.people.SignUp(t.Context(), &authv1.SignUpRequest{Email: email, Password: pass})
	if e := refused(t, err, codes.Unavailable, "IDENTITY_UNAVAILABLE"); e.RetryAfter <= 0 {
		t.Fatal("no time to come back")
	}
	_, err = a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	a.identity.fail = nil
	a.signUp()
	a.signIn()
}

func TestRemoveLoginEndsEverything(t *testing.T) { // R22
	a := newAuth(t)
	id := a.signUp()
	in := a.signIn()
	identity := authv1.NewLoginServiceClient(a.As("identity"))
	for range 2 {
		if _, err := identity.RemoveLogin(t.Context(), &authv1.RemoveLoginRequest{UserId: id}); err != nil {
			t.Fatal(err)
		}
	}
	a.read()
	_, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	_, err = authv1.NewAuthServiceClient(a.bearer(in.GetAccessToken())).SignOut(t.Context(), &authv1.SignOutRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_REVOKED")
	_, err = a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	if again := a.signUp(); again == id {
		t.Fatal("the address is free, but the user is the old one")
	}
}

// Suspend, and everything is refused like a wrong password, a session of before like one that
// ended; restore, and the password signs in again.
func TestSuspendLogin(t *testing.T) { // R10, R22
	a := newAuth(t)
	id := a.signUp()
	in := a.signIn()
	identity := authv1.NewLoginServiceClient(a.As("identity"))
	if _, err := identity.SuspendLogin(t.Context(), &authv1.SuspendLoginRequest{UserId: id, Revision: 2}); err != nil {
		t.Fatal(err)
	}
	a.read()
	_, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	_, err = authv1.NewAuthServiceClient(a.bearer(in.GetAccessToken())).SignOut(t.Context(), &authv1.SignOutRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_REVOKED")
	_, suspended := a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	refused(t, suspended, codes.Unauthenticated, "INVALID_CREDENTIALS")
	_, wrong := a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: "wrong horse battery staple"})
	if suspended.Error() != wrong.Error() {
		t.Errorf("a suspended sign-in is %v, one with a wrong password %v", suspended, wrong)
	}
	if _, err := identity.RestoreLogin(t.Context(), &authv1.RestoreLoginRequest{UserId: id, Revision: 3}); err != nil {
		t.Fatal(err)
	}
	a.signIn()
	_, err = authv1.NewLoginServiceClient(a.As("gateway")).SuspendLogin(t.Context(), &authv1.SuspendLoginRequest{UserId: id, Revision: 4})
	refused(t, err, codes.PermissionDenied, "CALLER_NOT_ADMITTED") // R50
}

func TestWhoMayCall(t *testing.T) { // R50
	a := newAuth(t)
	ctx := t.Context()
	_, err := authv1.NewAuthServiceClient(a.As("gateway")).SignOut(ctx, &authv1.SignOutRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_REQUIRED")
	_, err = authv1.NewAuthServiceClient(a.As("identity")).SignIn(ctx, &authv1.SignInRequest{Email: email, Password: pass})
	refused(t, err, codes.PermissionDenied, "CALLER_NOT_ADMITTED")
	_, err = authv1.NewLoginServiceClient(a.As("gateway")).RemoveLogin(ctx, &authv1.RemoveLoginRequest{UserId: uuid.NewString()})
	refused(t, err, codes.PermissionDenied, "CALLER_NOT_ADMITTED")
	_, err = authv1.NewLoginServiceClient(a.As("identity")).RemoveLogin(ctx, &authv1.RemoveLoginRequest{UserId: "1"})
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	if _, err := authclient.KeySet(authclient.Verification(a.As("audit")))(ctx); err != nil {
		t.Fatalf("every service that declares it may read the keys: %v", err)
	}
	// R94: consent for every service is none for a program that does not declare the call.
	_, err = authclient.KeySet(authclient.Verification(a.As("anyone")))(ctx)
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a program that nobody knows reads the keys: %v", err)
	}
}

func TestPublishedKeysVerifyTokens(t *testing.T) {
	a := newAuth(t)
	id := a.signUp()
	in := a.signIn()
	keys := token.NewKeyCache(authclient.KeySet(authclient.Verification(a.As("identity"))), time.Now)
	v := token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, keys, a.list, time.Now)
	claims, err := v.Verify(t.Context(), in.GetAccessToken())
	if err != nil || claims.Subject != id {
		t.Fatalf("Verify = %+v, %v; want subject %s", claims, err, id)
	}
	if keys.MaxAge() != 5*time.Minute || len(keys.Set()) != 2 {
		t.Fatalf("max age %s, %d keys; want 5 m and the active and the next key", keys.MaxAge(), len(keys.Set()))
	}
}

// turn reads the feed again and again until the test ends, as the background work does.
func (a *auth) turn() {
	tick := time.NewTicker(20 * time.Millisecond)
	var turning sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	turning.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = a.feed.Read(ctx) // it fails when the test ends
			}
		}
	})
	a.t.Cleanup(func() {
		tick.Stop()
		cancel()
		turning.Wait()
	})
}

// news is the next message that is not a heartbeat.
func news(t *testing.T, stream grpc.ServerStreamingClient[authv1.WatchRevocationsResponse]) []*authv1.Revocation {
	t.Helper()
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.GetRevocations()) > 0 {
			return m.GetRevocations()
		}
	}
}

func TestWatchRevocations(t *testing.T) { // R22
	a := newAuth(t)
	a.signUp()
	signOut := func() {
		t.Helper()
		if _, err := authv1.NewAuthServiceClient(a.bearer(a.signIn().GetAccessToken())).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	signOut()
	a.read()
	a.turn()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := authclient.Verification(a.As("identity")).WatchRevocations(ctx, &authv1.WatchRevocationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || len(first.GetRevocations()) != 1 || !first.GetComplete() {
		t.Fatalf("first message = %v, %v; want the complete set", first, err)
	}
	signOut()
	second := news(t, stream)
	if len(second) != 1 || second[0].GetSessionId() == first.GetRevocations()[0].GetSessionId() {
		t.Fatalf("second message = %v, want the new one only", second)
	}
	if until := second[0].GetExpireTime().AsTime(); time.Until(until) < 10*time.Minute {
		t.Fatalf("expires %s, before its access tokens do", until)
	}
	beat, err := stream.Recv()
	if err != nil || len(beat.GetRevocations()) != 0 || !beat.GetComplete() {
		t.Fatalf("third message = %v, %v; want a heartbeat", beat, err)
	}
}
