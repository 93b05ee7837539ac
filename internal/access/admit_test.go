package access_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

const (
	me           = "bbbbbbbb-1111-4111-8111-111111111111"
	other        = "aaaaaaaa-2222-4222-8222-222222222222"
	organization = "cccccccc-3333-4333-8333-333333333333"
)

// table answers from a list of what is granted.
type table struct {
	granted []access.Question
	err     error
	short   bool // an answer is missing
	asked   []access.Question
}

func (p *table) Allowed(_ context.Context, _ string, asked []access.Question, _ string) ([]bool, error) {
	p.asked = asked
	var answers []bool
	for _, q := range asked {
		answers = append(answers, slices.Contains(p.granted, q))
	}
	if p.short {
		answers = answers[1:]
	}
	return answers, p.err
}

func method(t *testing.T, name string) *contract.Method {
	t.Helper()
	linked := meshtest.Contract(t)
	m, ok := linked.Method("/gatehouse.identity.v1.UserService/" + name)
	if !ok {
		t.Fatalf("no method %s", name)
	}
	return m
}

// R50, R52, R62: who is admitted, what they stand on, and what is answered otherwise.
func TestAdmit(t *testing.T) {
	read := access.Question{Relation: "can_read", Object: "user:" + other}
	inOne := access.Question{Relation: "can_list_users", Object: "organization:" + organization}
	everywhere := access.Question{Relation: "can_list_users", Object: "platform:gatehouse"}
	list := &identityv1.ListUsersRequest{OrganizationId: organization}
	for name, c := range map[string]struct {
		method   string
		m        proto.Message
		p        table
		asked    []access.Question
		stands   []access.Question
		platform bool
		admitted bool
		reason   string // of the error, or of the refusal
		about    access.Object
	}{
		"oneself":        {method: "GetUser", m: &identityv1.GetUserRequest{Id: me}, admitted: true, about: access.Object{Type: "user", ID: me}},
		"granted":        {method: "GetUser", m: &identityv1.GetUserRequest{Id: other}, p: table{granted: []access.Question{read}}, asked: []access.Question{read}, stands: []access.Question{read}, admitted: true, about: access.Object{Type: "user", ID: other}},
		"not granted":    {method: "GetUser", m: &identityv1.GetUserRequest{Id: other}, asked: []access.Question{read}, stands: []access.Question{read}, reason: "USER_NOT_FOUND", about: access.Object{Type: "user", ID: other}},
		"not an id":      {method: "GetUser", m: &identityv1.GetUserRequest{Id: "x#y"}, reason: "USER_NOT_FOUND"},
		"in one":         {method: "ListUsers", m: list, p: table{granted: []access.Question{inOne}}, asked: []access.Question{inOne, everywhere}, stands: []access.Question{inOne, everywhere}, admitted: true, about: access.Object{Type: "organization", ID: organization}},
		"everywhere":     {method: "ListUsers", m: list, p: table{granted: []access.Question{inOne, everywhere}}, asked: []access.Question{inOne, everywhere}, stands: []access.Question{everywhere}, platform: true, admitted: true, about: access.Object{Type: "organization", ID: organization}},
		"nowhere":        {method: "ListUsers", m: &identityv1.ListUsersRequest{}, asked: []access.Question{everywhere}, stands: []access.Question{everywhere}, reason: apierr.PermissionDeniedError().Reason, about: access.Object{Type: "platform", ID: "gatehouse"}},
		"nobody answers": {method: "ListUsers", m: list, p: table{err: errors.New("down")}, asked: []access.Question{inOne, everywhere}, reason: apierr.AuthzUnavailable().Reason, about: access.Object{Type: "organization", ID: organization}},
		"too few":        {method: "ListUsers", m: list, p: table{short: true}, asked: []access.Question{inOne, everywhere}, reason: apierr.AuthzUnavailable().Reason, about: access.Object{Type: "organization", ID: organization}},
		"not fresh": {
			method: "ListUsers", m: list, p: table{err: apierr.New(apierr.Unavailable, apierr.NotFreshEnough().Reason, "not yet")}, asked: []access.Question{inOne, everywhere},
			reason: apierr.NotFreshEnough().Reason, about: access.Object{Type: "organization", ID: organization},
		},
	} {
		t.Run(name, func(t *testing.T) {
			policy, who := method(t, c.method), &request.Subject{UserID: me, ByPlatformRight: true} // as an earlier message of the stream was admitted
			stands, admitted, err := access.Guard{Permissions: &c.p}.Admit(t.Context(), policy, who, c.m)
			if !slices.Equal(c.p.asked, c.asked) || !slices.Equal(stands, c.stands) || admitted != c.admitted || who.ByPlatformRight != c.platform {
				t.Errorf("asked %v, stands on %v, admitted %v, by the platform's right %v", c.p.asked, stands, admitted, who.ByPlatformRight)
			}
			if err == nil && !admitted {
				err = access.Refusal(policy, c.m)
			}
			reason := ""
			if err != nil {
				reason = apierr.From(err).Reason
			}
			if reason != c.reason {
				t.Errorf("answered %v, want %q", err, c.reason)
			}
			if about := access.ObjectOf(policy, c.m); about != c.about {
				t.Errorf("it is about %+v, want %+v", about, c.about)
			}
		})
	}
}

func TestUndecidedTellsWhoLeft(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := access.Undecided(gone, errors.New("down")); !errors.Is(err, context.Canceled) {
		t.Errorf("the client left: %v", err)
	}
}

// verifier knows one token.
type verifier struct{ claims token.Claims }

func (v *verifier) Verify(_ context.Context, compact string) (token.Claims, error) {
	if compact != "good" {
		return token.Claims{}, apierr.New(apierr.Unauthenticated, apierr.InvalidToken().Reason, "bad")
	}
	return v.claims, nil
}

func TestBearerIsOneValue(t *testing.T) {
	g := access.Guard{Verifier: &verifier{token.Claims{Subject: me, SessionID: "s", ExpiresAt: time.Unix(1, 0)}}}
	for name, c := range map[string]struct {
		values []string
		reason string
	}{
		"good": {[]string{"bearer good"}, ""}, "none": {nil, "TOKEN_REQUIRED"}, "two": {[]string{"Bearer good", "Bearer good"}, apierr.InvalidToken().Reason},
		"another scheme": {[]string{"Basic good"}, apierr.InvalidToken().Reason}, "no token": {[]string{"Bearer"}, apierr.InvalidToken().Reason}, "bad": {[]string{"Bearer x"}, apierr.InvalidToken().Reason},
	} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{"authorization": c.values})
		claims, err := g.Bearer(ctx)
		if reason := reasonOf(err); reason != c.reason || (err == nil) != (access.Subject(claims).UserID == me) {
			t.Errorf("%s: %+v, %v; want %q", name, claims, err, c.reason)
		}
	}
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return apierr.From(err).Reason
}

// R62, R63: a stream runs for as long as its token, its session and its permission last.
func TestRunWhileAuthorized(t *testing.T) {
	q := access.Question{Relation: "can_read", Object: "user:" + other}
	about := access.Object{Type: "user", ID: other}
	until := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for name, c := range map[string]struct {
		p       *table
		bearer  string
		lasts   time.Duration
		next    func(context.Context) error
		reason  string
		revoked bool
	}{
		"it ends by itself":     {&table{}, "Bearer good", time.Hour, func(context.Context) error { return nil }, "", false},
		"the token expires":     {&table{granted: []access.Question{q}}, "Bearer good", 10 * time.Millisecond, until, apierr.TokenExpired().Reason, false},
		"the session is ended":  {&table{granted: []access.Question{q}}, "Bearer revoked", time.Hour, until, apierr.InvalidToken().Reason, false},
		"the permission goes":   {&table{}, "Bearer good", time.Hour, until, apierr.PermissionDeniedError().Reason, true},
		"nobody can be asked":   {&table{err: errors.New("down")}, "Bearer good", time.Hour, until, apierr.AuthzUnavailable().Reason, false},
		"its own error is told": {&table{}, "Bearer good", time.Hour, func(context.Context) error { return apierr.New(apierr.NotFound, "GONE", "gone") }, "GONE", false},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Now()
			claims := token.Claims{Subject: me, ExpiresAt: now.Add(c.lasts)}
			recheck := 20 * time.Millisecond
			if c.lasts < recheck {
				recheck = time.Hour
			}
			g := access.Guard{Verifier: &verifier{claims}, Permissions: c.p, Recheck: recheck, Now: func() time.Time { return now }}
			var s access.Standing
			s.Set([]access.Question{q}, about)
			ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", c.bearer))
			denied, err := g.RunWhileAuthorized(ctx, claims, &s, c.next)
			if reasonOf(err) != c.reason || (denied != nil) != c.revoked || denied != nil && *denied != about {
				t.Errorf("ended with %v, denied %+v; want %q", err, denied, c.reason)
			}
		})
	}
}
