package api_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/api"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/pages"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/seal"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// weakening is a hasher that can call every hash weak.
type weakening struct {
	*password.Pool
	weak   bool
	proven func() // what happens, once, when a password was just found right
}

func (w *weakening) Verify(ctx context.Context, pw, phc string) (match, weak bool, err error) {
	match, _, err = w.Pool.Verify(ctx, pw, phc)
	if proven := w.proven; match && proven != nil {
		w.proven = nil
		proven()
	}
	return match, match && w.weak, err
}

// fixed is Auth with a clock in the test's hand, and ids and salts that are always the same.
type fixed struct {
	*grpctest.Server
	*postgrestest.Database
	refusals outboxtest.Recorder
	grants   *grpctest.Grants
	store    *postgres.Logins
	logins   *login.Service
	identity *directory
	hasher   *weakening
	verifier *token.Verifier
	office   mailtest.Office
	now      time.Time
}

func newFixed(t *testing.T) *fixed {
	t.Helper()
	db := postgrestest.Open(t)
	box := outboxtest.Fixed(t, db.Pool, "auth")
	f := &fixed{Database: db, identity: &directory{}, now: outboxtest.Now(), grants: grpctest.NewGrants(), refusals: outboxtest.Refusals(t, box), store: postgres.NewLogins(db.Pool, box, nil)}
	clock, log := func() time.Time { return f.now }, slog.New(slog.DiscardHandler)
	random := rand.NewChaCha8([32]byte{1})
	pool, err := password.NewPool(password.Parameters{Memory: 64, Time: 1, Threads: 1}, 4, 100, random, func(context.Context) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	f.hasher = &weakening{Pool: pool}
	sealer, keeper := signingKeys(t, db, random, clock)
	ids := registerClient(t, db, sealer, random, clock)
	if _, err := db.Pool.Exec(t.Context(), `delete from auth.outbox`); err != nil { // of the keys, which are random
		t.Fatal(err)
	}
	list := token.NewRevocationList(func() time.Time { return time.Unix(0, 0) })
	list.Apply(true, nil)
	f.logins = login.NewService(login.Params{
		Config: login.Config{
			CreateUserTimeout: 5 * time.Second, SignUpGrace: time.Minute, RetryInterval: 10 * time.Second, RevocationPeriod: time.Hour,
			SignUps: login.SignUpsOpen, BootstrapSecret: secret,
		},
		Store: f.store, Directory: f.identity, Hasher: f.hasher, Throttle: db.Throttled(clock), Codes: postgres.NewMailedCodes(db.Pool, box, db.Mails), NewID: outboxtest.IDs(4), Now: clock, Wake: func() {}, Log: log,
		Invitations: f.store,
	})
	overview, sessions, browsers := f.sessions(box, keeper, random, clock)
	mails := postgres.NewMails(db.Pool, func(context.Context, mail.Kind) {})
	f.office = mailtest.NewOffice(t, clock)
	factors := fixedFactors(db, box, clock)
	resets, emails := f.mailed(box, mails, clock)
	page, err := pages.New(pages.Params{
		Logins: f.logins, Resets: resets, Emails: emails, Clients: db.Clients, SignUps: login.SignUpsOpen, Now: clock, Browsers: browsers, Overview: overview,
		Factors: factors,
	})
	check.NoError(t, err)
	exchanges, err := web.Service(&authv1.PageService_ServiceDesc, meshtest.Contract(t), &url.URL{Scheme: "https", Host: "id.example"}, page.Handlers())
	check.NoError(t, err)
	f.verifier = token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, keeper, list, clock)
	f.Server = grpctest.New(t, grpctest.Config{
		Program: "auth", Refusals: f.refusals, Permissions: f.grants, Now: clock,
		Verifier: f.verifier,
		Registrations: []grpcserver.Registration{
			{Desc: &authv1.AuthService_ServiceDesc, Impl: api.NewAuthService(f.logins, factors, sessions)},
			{Desc: &authv1.FactorService_ServiceDesc, Impl: api.NewFactorService(factors)},
			{Desc: exchanges, Impl: struct{}{}},
			{Desc: &authv1.InvitationService_ServiceDesc, Impl: api.NewInvitationService(f.inviting())},
			{Desc: &authv1.RecoveryService_ServiceDesc, Impl: api.NewRecoveryService(resets)},
			{Desc: &authv1.EmailService_ServiceDesc, Impl: api.NewEmailService(emails)},
			{Desc: &authv1.MailService_ServiceDesc, Impl: api.NewMailService(mail.NewTrials(mail.TrialParams{
				Store: postgres.NewMailTrials(db.Pool, box, mails), Desk: f.office.Desk, NewID: outboxtest.IDs(9), Wake: func() {},
			}))},
			f.provider(t, box, sessions, browsers, page, ids),
			{Desc: &authv1.SessionService_ServiceDesc, Impl: api.NewSessionService(f.logins, overview)},
			{Desc: &authv1.LoginService_ServiceDesc, Impl: api.NewLoginService(f.logins)},
			{Desc: &authv1.ClientService_ServiceDesc, Impl: api.NewClientService(fixedClients(postgres.NewClients(db.Pool, box), random, clock))},
		},
	})
	return f
}

// signingKeys are the signing keys, and what seals them.
func signingKeys(t *testing.T, db *postgrestest.Database, random io.Reader, clock func() time.Time) (*signingkey.Sealer, *signingkey.Keeper) {
	t.Helper()
	sealer, err := signingkey.NewSealer(bytes.Repeat([]byte{1}, signingkey.SealingKeyLength), nil)
	check.NoError(t, err)
	policy := signingkey.Policy{Algorithm: token.EdDSA, MaxAge: 5 * time.Minute, Interval: 24 * time.Hour}
	keeper := signingkey.NewKeeper(policy, db.SigningKeys, sealer, random, clock)
	check.NoError(t, keeper.Refresh(t.Context()))
	return sealer, keeper
}

// sessions are sessions of all kinds.
func (f *fixed) sessions(
	box *outbox.Outbox, keeper *signingkey.Keeper, random io.Reader, clock func() time.Time,
) (*session.Overview, *session.Service, *session.Browsers) {
	log := slog.New(slog.DiscardHandler)
	config := session.Config{
		Issuer: "https://id.example", Audience: "gatehouse", AccessTTL: 10 * time.Minute, Lifetime: time.Hour, Idle: time.Hour, BrowserIdle: time.Hour,
	}
	overview := session.NewOverview(session.OverviewParams{Config: config, Store: postgres.NewOverview(f.Pool, box, nil), Now: clock, Wake: func() {}})
	sessions := session.NewService(session.Params{
		Config: config,
		Store:  postgres.NewSessions(f.Pool, box), Signer: keeper, NewID: outboxtest.IDs(5), Random: random, Now: clock, Wake: func() {}, Log: log,
	})
	browsers := session.NewBrowsers(session.BrowserParams{
		Config: session.BrowserConfig{Lifetime: time.Hour, Idle: time.Hour}, Store: postgres.NewBrowsers(f.Pool, box), NewID: outboxtest.IDs(6),
		Random: random, Now: clock, Wake: func() {},
	})
	return overview, sessions, browsers
}

// mailed is what goes on by mail: recoveries and changes of addresses.
func (f *fixed) mailed(box *outbox.Outbox, mails *postgres.Mails, clock func() time.Time) (*reset.Service, *emailchange.Service) {
	log, codes := slog.New(slog.DiscardHandler), postgres.NewMailedCodes(f.Pool, box, mails)
	resets := reset.NewService(reset.Params{
		Store: postgres.NewResets(f.Pool, box, mails), Logins: f.store, Codes: codes, Hasher: f.hasher,
		Throttle: f.Throttled(clock), Desk: f.office.Desk, RevocationPeriod: time.Hour, Now: clock, Wake: func() {}, Log: log,
	})
	emails := emailchange.NewService(emailchange.Params{
		Store: postgres.NewEmailChanges(f.Pool, box, mails), Logins: f.store, Codes: codes, Directory: accepting{},
		Desk: f.office.Desk, Timeout: time.Second, Grace: time.Second, Retry: time.Second, Now: clock, Wake: func() {}, Log: log,
	})
	return resets, emails
}

// endSessions lets a person change the password and end sessions, and an administrator end that
// person's.
func (f *fixed) endSessions(t *testing.T) {
	t.Helper()
	ctx, pw := t.Context(), pass
	signIn := func(requestID string) (*authv1.SignInResponse, token.Claims) {
		t.Helper()
		people := authv1.NewAuthServiceClient(f.Through("gateway", requestID))
		in, err := people.SignIn(ctx, &authv1.SignInRequest{Email: "bob@example.com", Password: pw})
		check.NoError(t, err)
		claims, err := f.verifier.Verify(ctx, in.GetAccessToken())
		check.NoError(t, err)
		return in, claims
	}
	in, claims := signIn("sign-in-of-bob")
	as := func(requestID string) authv1.SessionServiceClient {
		return authv1.NewSessionServiceClient(f.Through("gateway", requestID, "authorization", "Bearer "+in.GetAccessToken()))
	}
	_, other := signIn("sign-in-elsewhere")
	_, err := as("end-mine").EndMySession(ctx, &authv1.EndMySessionRequest{SessionId: other.SessionID})
	check.NoError(t, err)
	signIn("sign-in-elsewhere-again")
	_, err = as("end-others").EndMyOtherSessions(ctx, &authv1.EndMyOtherSessionsRequest{})
	check.NoError(t, err)
	_, err = as("password-wrong").ChangePassword(ctx, &authv1.ChangePasswordRequest{OldPassword: "wrong horse battery staple", NewPassword: newPass})
	refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	_, err = as("password").ChangePassword(ctx, &authv1.ChangePasswordRequest{OldPassword: pass, NewPassword: newPass})
	check.NoError(t, err)
	pw = newPass
	f.grants.Allow(claims.Subject, "can_manage_sessions", "platform:gatehouse")
	_, other = signIn("sign-in-of-another")
	_, err = as("end-one").EndUserSession(ctx, &authv1.EndUserSessionRequest{UserId: claims.Subject, SessionId: other.SessionID})
	check.NoError(t, err)
	_, err = as("end-all").EndUserSessions(ctx, &authv1.EndUserSessionsRequest{UserId: claims.Subject})
	check.NoError(t, err)
}

// fixedFactors are second factors whose events are recorded in the box.
func fixedFactors(db *postgrestest.Database, box *outbox.Outbox, clock func() time.Time) *factor.Service {
	return factor.NewService(factor.Params{
		Store:    postgres.NewFactors(db.Pool, box, nil),
		Secrets:  seal.NewBox(factor.SecretPurpose, make([]byte, 32), nil, nil),
		Tokens:   seal.NewBox(factor.TokenPurpose, make([]byte, 32), nil, nil),
		Throttle: db.Throttled(clock), Site: "id.example", RevocationPeriod: time.Hour, Now: clock, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
}

// R66, R67: what each audited method, and each thing that happens without one, writes to the
// outbox: the same bytes for ever.
func TestCanonicalEvents(t *testing.T) {
	f, ctx := newFixed(t), t.Context()
	people := func(requestID string) authv1.AuthServiceClient {
		return authv1.NewAuthServiceClient(f.Through("gateway", requestID))
	}
	signIn := func(requestID, address string) (*authv1.SignInResponse, error) {
		return people(requestID).SignIn(ctx, &authv1.SignInRequest{Email: address, Password: pass})
	}
	must := func(err error) { t.Helper(); check.NoError(t, err) }
	_, err := people("bootstrap-wrong").Bootstrap(ctx, &authv1.BootstrapRequest{Secret: "a guess", Email: "Root@example.com", Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_BOOTSTRAP_SECRET")
	_, err = people("bootstrap").Bootstrap(ctx, &authv1.BootstrapRequest{Secret: secret, Email: "Root@example.com", Password: pass})
	must(err)
	made, _, err := login.Recover(ctx, f.store, outboxtest.Salts{})
	must(err)
	_, err = people("recovered").Bootstrap(ctx, &authv1.BootstrapRequest{Secret: made, Email: "again@example.com", Password: pass})
	must(err)
	up, err := people("sign-up").SignUp(ctx, &authv1.SignUpRequest{Email: "Ada@Example.com", Password: pass, DisplayName: "Ada"})
	must(err)
	in, err := signIn("sign-in", "ADA@example.com")
	must(err)
	f.hasher.weak = true
	_, err = signIn("sign-in-weak", email)
	must(err)
	f.hasher.weak = false
	for _, address := range []string{"ADA@example.com", "Nobody@example.com", "nobody@example.com"} {
		_, err = people("sign-in-wrong").SignIn(ctx, &authv1.SignInRequest{Email: address, Password: "wrong horse battery staple"})
		refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	}
	_, err = people("refresh").Refresh(ctx, &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	must(err)
	_, err = people("refresh-reused").Refresh(ctx, &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	_, err = people("refresh-unknown").Refresh(ctx, &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	in, err = signIn("sign-in-again", email)
	must(err)
	out := authv1.NewAuthServiceClient(f.Through("gateway", "sign-out", "authorization", "Bearer "+in.GetAccessToken()))
	_, err = out.SignOut(ctx, &authv1.SignOutRequest{})
	must(err)
	f.identity.fail = apierr.New(apierr.Unavailable, "UPSTREAM_UNAVAILABLE", "down")
	_, err = people("sign-up-interrupted").SignUp(ctx, &authv1.SignUpRequest{Email: "bob@example.com", Password: pass, DisplayName: "Bob"})
	refused(t, err, codes.Unavailable, "IDENTITY_UNAVAILABLE")
	f.identity.fail = nil
	in, err = signIn("sign-in-to-expire", email)
	must(err)
	f.now = f.now.Add(2 * time.Hour)
	must(f.logins.Reconcile(ctx))
	_, err = people("refresh-expired").Refresh(ctx, &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	f.suspendAndRemove(t, up.GetUser().GetId(), signIn)
	f.endSessions(t)
	f.useProvider(t, f.usePages(t))
	f.clients(t, signIn)
	f.verifyEmails(t)
	f.recoverPasswords(t, signIn)
	f.useFactors(t)
	f.acceptInvitations(t)
	golden.Check(t, "events.golden", outboxtest.Rows(t, f.Pool, "auth"))
	outboxtest.CheckAudited(t, f.Pool, "auth")
}

// suspendAndRemove suspends a login, restores it and removes it, as Identity does.
func (f *fixed) suspendAndRemove(t *testing.T, userID string, signIn func(requestID, address string) (*authv1.SignInResponse, error)) {
	t.Helper()
	ctx := t.Context()
	_, err := authv1.NewLoginServiceClient(f.Through("identity", "suspend-login")).SuspendLogin(ctx, &authv1.SuspendLoginRequest{
		UserId: userID, Revision: 2,
	})
	check.NoError(t, err)
	_, err = signIn("sign-in-suspended", email)
	refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	_, err = authv1.NewLoginServiceClient(f.Through("identity", "restore-login")).RestoreLogin(ctx, &authv1.RestoreLoginRequest{
		UserId: userID, Revision: 3,
	})
	check.NoError(t, err)
	remove := authv1.NewLoginServiceClient(f.Through("identity", "remove-login"))
	_, err = remove.RemoveLogin(ctx, &authv1.RemoveLoginRequest{UserId: userID})
	check.NoError(t, err)
}

// clients registers a client, changes it, rotates its secret and removes it.
func (f *fixed) clients(t *testing.T, signIn func(requestID, address string) (*authv1.SignInResponse, error)) {
	t.Helper()
	in, err := signIn("sign-in-administrator", "root@example.com")
	check.NoError(t, err)
	administrator := func(requestID string) authv1.ClientServiceClient {
		return authv1.NewClientServiceClient(f.Through("gateway", requestID, "authorization", "Bearer "+in.GetAccessToken()))
	}
	_, err = administrator("client-denied").CreateClient(t.Context(), webApp())
	refused(t, err, codes.PermissionDenied, "PERMISSION_DENIED")
	var root string
	check.NoError(t, f.Pool.QueryRow(t.Context(), `select user_id::text from auth.logins where email = 'root@example.com'`).Scan(&root))
	f.grants.Allow(root, "can_manage_clients", "platform:gatehouse")
	created, err := administrator("client-create").CreateClient(t.Context(), webApp())
	check.NoError(t, err)
	id := created.GetClient().GetId()
	_, err = administrator("client-update").UpdateClient(t.Context(), &authv1.UpdateClientRequest{
		Client: &authv1.OAuthClient{Id: id, PlatformApi: true}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"platform_api", "audiences"}},
	})
	check.NoError(t, err)
	_, err = administrator("client-rotate").RotateClientSecret(t.Context(), &authv1.RotateClientSecretRequest{Id: id})
	check.NoError(t, err)
	_, err = administrator("client-end").EndClientSecret(t.Context(), &authv1.EndClientSecretRequest{Id: id, SecretId: created.GetClient().GetSecrets()[0].GetId()})
	check.NoError(t, err)
	_, err = administrator("client-delete").DeleteClient(t.Context(), &authv1.DeleteClientRequest{Id: id})
	check.NoError(t, err)
}

func fixedClients(store client.Store, random io.Reader, clock func() time.Time) *client.Service {
	return client.NewService(client.Params{Store: store, NewID: outboxtest.IDs(8), Random: random, Now: clock, Wake: func() {}})
}
