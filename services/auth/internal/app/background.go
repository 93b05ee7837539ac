package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/fxmod/service"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Times of the background work. A request may take 10 s by its contract, so a sign-up belongs to
// its request for longer than that.
const (
	createUserTimeout = 5 * time.Second
	signUpGrace       = 15 * time.Second
	signUpRetry       = 10 * time.Second
	reconcileEvery    = 2 * time.Second
	readFeedEvery     = 250 * time.Millisecond
	cleanEvery        = time.Minute
	firstLoadTimeout  = 3 * time.Second        // of keys and revocations, before the program serves
	retryLoadEvery    = 500 * time.Millisecond // while the keys cannot be read
)

// workParams are what the work is made of.
type workParams struct {
	fx.In

	Config   Config
	Logins   *login.Service
	Emails   *emailchange.Service
	Factors  *factor.Service
	Sessions *session.Service
	Browsers *session.Browsers
	Provider *openid.Provider
	Throttle *throttle.Guard
	Keeper   *signingkey.Keeper
	IDTokens *signingkey.IDTokens
	Feed     *session.Feed
	List     *token.RevocationList
	Codes    proof.Store
	Courier  *mail.Courier
	Sender   mail.Sender
	Stop     fx.Shutdowner
	Now      func() time.Time
	Log      *slog.Logger
}

// newWork is what runs beside the requests.
func newWork(p workParams) service.Work {
	refresh := loop.Loop{
		Name: "refresh signing keys", Every: min(retryLoadEvery, p.Config.policy().Reload()), Timeout: firstLoadTimeout, Do: p.refresh,
	}
	idTokens := loop.Loop{Name: "refresh keys of ID tokens", Every: refresh.Every, Timeout: time.Minute, Do: p.IDTokens.Refresh}
	read := loop.Loop{Name: "read ended sessions", Every: readFeedEvery, Wake: p.Feed.Woken(), Timeout: 2 * time.Second, Do: p.Feed.Read}
	reconcile := loop.Loop{Name: "complete interrupted sign-ups", Every: reconcileEvery, Timeout: time.Minute, Do: p.Logins.Reconcile}
	emails := loop.Loop{Name: "tell Identity of addresses", Every: reconcileEvery, Timeout: time.Minute, Do: p.Logins.ReconcileEmails}
	changes := loop.Loop{Name: "complete interrupted changes of addresses", Every: reconcileEvery, Timeout: time.Minute, Do: p.Emails.Reconcile}
	forget := loop.Loop{Name: "forget what deleted organizations required", Every: cleanEvery, Timeout: time.Minute, Do: p.Factors.ForgetPolicies}
	clean := loop.Loop{Name: "delete what expired", Every: cleanEvery, Timeout: time.Minute, Do: p.clean}
	return service.Work{Beside: fxmod.Parts{
		limitMemory(p.Config),                                        // before the first hash
		{Name: "the signing keys", Start: p.loadKeys},                // before requests, if the database answers: they sign with them and verify by them
		fxmod.Repeat(refresh, p.Log),                                 // after the first load, which says at once when the sealing key is wrong
		fxmod.Repeat(idTokens, p.Log),                                // likewise; the first start makes RSA keys, for which nothing waits
		fxmod.Background("the own list of ended sessions", p.follow), // before the first read, whose complete set it takes
		{Name: "the ended sessions", Start: p.readSessions},          // before requests, if the database answers: without them no token is believed
		fxmod.Repeat(read, p.Log),                                    // after the first read
		fxmod.Repeat(reconcile, p.Log),                               // after the keys: it needs nothing else
		fxmod.Repeat(emails, p.Log),                                  // likewise
		fxmod.Repeat(changes, p.Log),                                 // likewise
		fxmod.Repeat(forget, p.Log),                                  // likewise
		fxmod.Repeat(clean, p.Log),                                   // its place is free
		p.deliver(),                                                  // likewise: a mail that is queued meanwhile waits
	}}
}

// clean deletes the sessions that are over, the used codes, counters of failures, mailed codes and
// mails that expired.
func (p workParams) clean(ctx context.Context) error {
	return errors.Join(p.Browsers.Clean(ctx), p.Sessions.Clean(ctx), p.Provider.Clean(ctx), p.Throttle.Clean(ctx), p.Courier.Clean(ctx),
		proof.Clean(ctx, p.Codes, p.Now()))
}

// loadKeys loads the signing keys before the program serves, if the database answers. Keys that the
// sealing key does not open stop the start.
func (p workParams) loadKeys(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, firstLoadTimeout)
	defer cancel()
	err := errors.Join(p.Keeper.Refresh(ctx), p.IDTokens.Load(ctx))
	if errors.Is(err, signingkey.ErrWrongSealingKey) {
		return signingkey.ErrWrongSealingKey
	}
	if err != nil {
		p.Log.WarnContext(ctx, "the signing keys are not loaded yet", "error", err.Error())
		return nil
	}
	two, needsPrevious := p.Keeper.Sealing()
	_, idsNeed := p.IDTokens.Sealing()
	switch needsPrevious = needsPrevious || idsNeed; {
	case needsPrevious:
		p.Log.InfoContext(ctx, "the signing keys are sealed with the previous sealing key: when all instances have both, run `auth reseal`")
	case two:
		p.Log.InfoContext(ctx, "the previous sealing key is not needed any more: take GATEHOUSE_AUTH_KEY_PREVIOUS_FILE away")
	}
	return nil
}

// refresh keeps the signing keys current. Keys that the sealing key does not open stop the program
// when the database came later than the program.
func (p workParams) refresh(ctx context.Context) error {
	if !p.Keeper.Due() {
		return nil
	}
	err := p.Keeper.Refresh(ctx)
	if errors.Is(err, signingkey.ErrWrongSealingKey) && !p.Keeper.Loaded() {
		p.Log.ErrorContext(ctx, "stopping", "error", err.Error())
		return errors.Join(err, p.Stop.Shutdown(fx.ExitCode(1)))
	}
	return err
}

// readSessions reads the ended sessions once before the program serves, if the database answers.
func (p workParams) readSessions(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, firstLoadTimeout)
	defer cancel()
	if err := p.Feed.Read(ctx); err != nil {
		p.Log.WarnContext(ctx, "the ended sessions are not read yet", "error", err.Error())
	}
	return nil
}

// follow feeds Auth's own list of ended sessions, by the same feed that others follow through the
// mesh.
func (p workParams) follow(ctx context.Context) {
	for ctx.Err() == nil {
		follow(ctx, p.Feed, p.List)
	}
}

// follow applies one follower's updates until it is cut or ctx ends.
func follow(ctx context.Context, feed *session.Feed, list *token.RevocationList) {
	follower, stop := feed.Follow()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-follower.Ready():
			if !ok {
				return
			}
			updates, _ := follower.Take()
			for _, update := range updates {
				apply(list, update)
			}
		}
	}
}

// apply takes over one update, which is never split.
func apply(list *token.RevocationList, update session.Update) {
	ended := make([]token.Revocation, len(update))
	for i, r := range update {
		ended[i] = token.Revocation{SessionID: r.SessionID, ExpiresAt: r.ExpireTime}
	}
	list.Apply(true, ended)
}
