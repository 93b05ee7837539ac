package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
)

const (
	me    = "bbbbbbbb-1111-4111-8111-111111111111"
	other = "aaaaaaaa-2222-4222-8222-222222222222"
)

// R50, R52: who is admitted by which alternative, what is asked about it, and how who is not admitted is answered.
func TestPermissions(t *testing.T) {
	platform := access.Question{Relation: "can_manage", Object: "platform:gatehouse"}
	about := func(id string) access.Question {
		return access.Question{Relation: "can_read", Object: "user:" + id}
	}
	for _, c := range []struct {
		name   string
		grant  access.Question
		method string
		pairs  []string
		asked  []access.Question // nil: nothing is asked
		code   codes.Code
		reason string
	}{
		{"oneself needs no question", about(other), "SelfOrPermission", []string{"id", me}, nil, codes.OK, ""},
		{"oneself in upper case needs none either", about(me), "SelfOrPermission", []string{"id", strings.ToUpper(me)}, nil, codes.OK, ""},
		{"granted", about(other), "SelfOrPermission", []string{"id", other}, []access.Question{about(other)}, codes.OK, ""},
		{"a UUID is asked about in lower case", about(other), "Permission", []string{"id", strings.ToUpper(other)}, []access.Question{about(other)}, codes.OK, ""},
		{"granted on another object", about(other), "Permission", []string{"id", me}, []access.Question{about(me)}, codes.NotFound, "USER_NOT_FOUND"},
		{"another relation granted", access.Question{Relation: "can_delete", Object: "user:" + other}, "Permission", []string{"id", other}, []access.Question{about(other)}, codes.NotFound, "USER_NOT_FOUND"},
		{"no object named", about(""), "Permission", nil, nil, codes.NotFound, "OBJECT_NOT_FOUND"},
		{"fixed object, granted", platform, "Platform", nil, []access.Question{platform}, codes.OK, ""},
		{"fixed object, not granted", about(other), "Platform", nil, []access.Question{platform}, codes.PermissionDenied, "PERMISSION_DENIED"},
		{"both are asked at once, the first granted", about(other), "PermissionOrPlatform", []string{"id", other}, []access.Question{about(other), platform}, codes.OK, ""},
		{"both are asked at once, the second granted", platform, "PermissionOrPlatform", []string{"id", other}, []access.Question{about(other), platform}, codes.OK, ""},
		{"both, none granted: the object is unknown", about(me), "PermissionOrPlatform", []string{"id", other}, []access.Question{about(other), platform}, codes.NotFound, "USER_NOT_FOUND"},
		{"an empty field leaves the fixed object", platform, "PermissionOrPlatform", nil, []access.Question{platform}, codes.OK, ""},
		{"an empty field, not granted", about(other), "PermissionOrPlatform", nil, []access.Question{platform}, codes.PermissionDenied, "PERMISSION_DENIED"},
		{"signed_in asks nothing", platform, "SignedIn", nil, nil, codes.OK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, grants := newDemo(t), grpctest.NewGrants()
			grants.Allow(me, c.grant.Relation, c.grant.Object)
			s := start(t, d, grpctest.Config{Permissions: grants})
			expect(t, d.call(t.Context(), s.AsUser(s.Tokens.Claims(me)), c.method, c.pairs...), c.code, c.reason)
			var asked []access.Question
			for _, a := range grants.Asked() {
				asked = append(asked, a.Questions...)
				if a.Subject != "user:"+me {
					t.Errorf("asked about %q", a.Subject)
				}
			}
			if !slices.Equal(asked, c.asked) || len(grants.Asked()) > 1 {
				t.Errorf("asked %v in %d requests, want %v in one", asked, len(grants.Asked()), c.asked)
			}
		})
	}
}

// yes answers every question with yes and counts them.
type yes struct{ asked int }

func (y *yes) Allowed(_ context.Context, _ string, asked []access.Question, _ string) ([]bool, error) {
	y.asked += len(asked)
	return slices.Repeat([]bool{true}, len(asked)), nil
}

// R64: what cannot be an id is not asked about, or the question would be another one, and admits nobody.
func TestNoObjectIDsAreNotAsked(t *testing.T) {
	for name, id := range map[string]string{
		"relation":      "group:x#member",
		"type":          "group:x",
		"set":           "x#member",
		"wildcard":      "*",
		"at sign":       "x@y",
		"space":         "a b",
		"line end":      "a\n",
		"wide space":    "a\u00a0b",
		"too long":      strings.Repeat("a", 201),
		"control":       "a\x00b",
		"only a type's": ":",
	} {
		t.Run(name, func(t *testing.T) {
			d, y := newDemo(t), &yes{}
			s := start(t, d, grpctest.Config{Permissions: y})
			user := s.AsUser(s.Tokens.Claims(me))
			expect(t, d.call(t.Context(), user, "Permission", "id", id), codes.NotFound, "USER_NOT_FOUND")
			if y.asked != 0 {
				t.Errorf("%d questions are asked about %q", y.asked, id)
			}
			expect(t, d.call(t.Context(), user, "Permission", "id", "a"), codes.OK, "")
		})
	}
}

// R62: what cannot be asked is not granted.
func TestUndecidedPermissions(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"an unknown error":  {errors.New("dial tcp canary: refused"), codes.Unavailable, "AUTHZ_UNAVAILABLE"},
		"a deadline":        {context.DeadlineExceeded, codes.Unavailable, "AUTHZ_UNAVAILABLE"},
		"a refusal":         {apierr.New(apierr.PermissionDenied, "CALL_DENIED", "no"), codes.Unavailable, "AUTHZ_UNAVAILABLE"},
		"a not found":       {apierr.New(apierr.NotFound, "X", "no"), codes.Unavailable, "AUTHZ_UNAVAILABLE"},
		"another defect":    {apierr.New(apierr.Internal, "INTERNAL", "no"), codes.Unavailable, "AUTHZ_UNAVAILABLE"},
		"not fresh enough":  {apierr.New(apierr.Unavailable, "NOT_FRESH_ENOUGH", "later"), codes.Unavailable, "NOT_FRESH_ENOUGH"},
		"a foreign token":   {apierr.New(apierr.InvalidArgument, "INVALID_CONSISTENCY_TOKEN", "no"), codes.InvalidArgument, "INVALID_CONSISTENCY_TOKEN"},
		"our own bad words": {apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "no"), codes.Unavailable, "AUTHZ_UNAVAILABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			d, grants, trail := newDemo(t), grpctest.NewGrants(), grpctest.NewTrail()
			handled := false
			d.unary = func(_ context.Context, in *message) (*message, error) {
				handled = true
				return in, nil
			}
			grants.Fail(c.err)
			s := start(t, d, grpctest.Config{Permissions: grants, Refusals: trail})
			err := d.call(t.Context(), s.AsUser(s.Tokens.Claims(me)), "SelfOrPermission", "id", other)
			expect(t, err, c.code, c.reason)
			if e := rpcstatus.ToError(status.Convert(err)); c.reason == "AUTHZ_UNAVAILABLE" && e.RetryAfter != time.Second {
				t.Errorf("retry after %s", e.RetryAfter)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the cause was told: %v", err)
			}
			if handled || len(trail.Refusals()) > 0 {
				t.Errorf("handled: %v, recorded as denied: %v", handled, trail.Refusals())
			}
			expect(t, d.call(t.Context(), s.AsUser(s.Tokens.Claims(me)), "SelfOrPermission", "id", me), codes.OK, "")
		})
	}
}

// short answers fewer questions than were asked.
type short struct{}

func (short) Allowed(context.Context, string, []access.Question, string) ([]bool, error) {
	return []bool{true}, nil
}

func TestTooFewAnswersAreNone(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{Permissions: short{}})
	expect(t, d.call(t.Context(), s.AsUser(s.Tokens.Claims(me)), "PermissionOrPlatform", "id", other), codes.Unavailable, "AUTHZ_UNAVAILABLE")
}

func TestNewNeedsPermissions(t *testing.T) {
	d := newDemo(t)
	p := grpcserver.Params{
		Program: "demo", Contract: d.contract, Mesh: grpctest.Mesh(), Callers: mesh.Derive(d.contract), Refusals: grpctest.NewTrail(),
		Registrations: []grpcserver.Registration{d.registration()},
	}
	if _, err := grpcserver.New(p); err == nil || !strings.Contains(err.Error(), "RemotePermissions") {
		t.Errorf("a server that nobody answers permissions for: %v", err)
	}
}

// Recording refusals does not fail open: who audits, or may refuse, does not start without a place
// to say so (R66, R68).
func TestNewNeedsARecorder(t *testing.T) {
	d := newDemo(t)
	whole := d.registration().Desc
	for name, recorded := range map[string]bool{
		"Change": true, "Login": true, "ChangeByService": true, "SignedIn": true, "GetUser": true, "Platform": true,
		"Public": false, "EveryService": false,
	} {
		desc := &grpc.ServiceDesc{ServiceName: whole.ServiceName, HandlerType: whole.HandlerType}
		for _, m := range whole.Methods {
			if m.MethodName == name {
				desc.Methods = append(desc.Methods, m)
			}
		}
		p := grpcserver.Params{
			Program: "demo", Contract: d.contract, Mesh: grpctest.Mesh(), Callers: mesh.Derive(d.contract), Permissions: grpctest.NewGrants(),
			Health: health.New(slog.New(slog.DiscardHandler)), Registrations: []grpcserver.Registration{{Desc: desc, Impl: d}},
		}
		s, err := grpcserver.New(p)
		if refused := err != nil && strings.Contains(err.Error(), "add service.Outbox"); refused != recorded || refused == (s != nil) {
			t.Errorf("a server of %s without a recorder: %v, want it refused: %v", name, err, recorded)
		}
		p.Refusals = grpctest.NewTrail()
		if _, err := grpcserver.New(p); err != nil {
			t.Errorf("a server of %s with a recorder: %v", name, err)
		}
	}
}

// The request's token reaches the question; the token of what was written reaches the caller.
func TestConsistencyTokens(t *testing.T) {
	asked, written := request.TokenOf(me).String(), request.TokenOf(other).String()
	d, grants := newDemo(t), grpctest.NewGrants()
	grants.Allow(me, "can_read", "user:"+other)
	var seen string
	d.unary = func(ctx context.Context, in *message) (*message, error) {
		seen = request.Consistency(ctx)
		request.Wrote(ctx, written)
		return in, nil
	}
	s := start(t, d, grpctest.Config{Permissions: grants})
	bearer := []string{request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer " + s.Tokens.Sign(s.Tokens.Claims(me))}
	with := func(tokens ...string) (metadata.MD, error) {
		pairs := slices.Clone(bearer)
		for _, text := range tokens {
			pairs = append(pairs, request.ConsistencyHeader, text)
		}
		var trailer metadata.MD
		err := s.Dial(pairs...).Invoke(t.Context(), demoPath+"Permission", d.message("id", other), d.message(), grpc.Trailer(&trailer))
		return trailer, err
	}
	trailer, err := with(asked)
	if err != nil {
		t.Fatal(err)
	}
	if got := trailer.Get(request.ConsistencyHeader); !slices.Equal(got, []string{written}) {
		t.Errorf("the trailer has %q, want %q", got, written)
	}
	if got := grants.Asked()[0].Token; got != asked || seen != asked {
		t.Errorf("asked with %q, handled with %q, want %q", got, seen, asked)
	}
	if _, err := with(); err != nil || grants.Asked()[1].Token != "" {
		t.Errorf("without a token: %v, asked with %q", err, grants.Asked()[1].Token)
	}
	for _, bad := range [][]string{{"nonsense"}, {""}, {asked, asked}, {asked + "x"}} {
		_, err := with(bad...)
		expect(t, err, codes.InvalidArgument, "INVALID_CONSISTENCY_TOKEN")
	}
	if n := len(grants.Asked()); n != 2 {
		t.Errorf("%d questions: a bad token is not asked with", n)
	}
	d.unary = nil
	if trailer, err := with(asked); err != nil || len(trailer.Get(request.ConsistencyHeader)) != 0 {
		t.Errorf("who writes nothing answers with %q, %v", trailer.Get(request.ConsistencyHeader), err)
	}
}

// Each message of a stream is admitted by itself.
func TestPermissionsOfStreams(t *testing.T) {
	d, grants := newDemo(t), grpctest.NewGrants()
	grants.Allow(me, "can_read", "user:a")
	grants.Allow(me, "can_read", "user:b")
	d.stream = echo(d)
	s := start(t, d, grpctest.Config{Permissions: grants})
	stream, err := d.open(t.Context(), s.AsUser(s.Tokens.Claims(me)), "Follow")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		if err := stream.SendMsg(d.message("id", id)); err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(d.message()); err != nil {
			t.Fatalf("message about %s: %v", id, err)
		}
	}
	if err := stream.SendMsg(d.message("id", "c")); err != nil {
		t.Fatal(err)
	}
	expect(t, stream.RecvMsg(d.message()), codes.NotFound, "USER_NOT_FOUND")
}

// echo answers each message of a stream with itself.
func echo(d *demo) func(grpc.ServerStream) error {
	return func(s grpc.ServerStream) error {
		for {
			in := d.message()
			if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := s.SendMsg(in); err != nil {
				return err
			}
		}
	}
}

// R63: a stream ends soon after the permission, the session or the certainty that admitted it.
func TestRevokedStreams(t *testing.T) {
	for name, c := range map[string]struct {
		pairs  []string
		revoke func(*grpctest.Grants, *grpctest.Tokens, token.Claims)
		code   codes.Code
		reason string
		denied int
	}{
		"the permission is revoked": {[]string{"id", other}, func(g *grpctest.Grants, _ *grpctest.Tokens, _ token.Claims) {
			g.Revoke(me, "can_read", "user:"+other)
		}, codes.PermissionDenied, "PERMISSION_DENIED", 1},
		"permissions cannot be asked": {[]string{"id", other}, func(g *grpctest.Grants, _ *grpctest.Tokens, _ token.Claims) {
			g.Fail(errors.New("down"))
		}, codes.Unavailable, "AUTHZ_UNAVAILABLE", 0},
		"the session ends": {[]string{"user.id", me}, func(_ *grpctest.Grants, tokens *grpctest.Tokens, claims token.Claims) {
			tokens.Revoke(claims.SessionID)
		}, codes.Unauthenticated, apierr.TokenRevoked().Reason, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d, grants, trail := newDemo(t), grpctest.NewGrants(), grpctest.NewTrail()
			grants.Allow(me, "can_read", "user:"+other)
			d.stream = echo(d)
			s := start(t, d, grpctest.Config{Permissions: grants, Refusals: trail, Recheck: 5 * time.Millisecond})
			claims := s.Tokens.Claims(me)
			stream, err := d.open(t.Context(), s.AsUser(claims), "Follow")
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.SendMsg(d.message(c.pairs...)); err != nil {
				t.Fatal(err)
			}
			if err := stream.RecvMsg(d.message()); err != nil {
				t.Fatal(err)
			}
			c.revoke(grants, s.Tokens, claims)
			expect(t, stream.RecvMsg(d.message()), c.code, c.reason)
			if n := len(trail.Refusals()); n != c.denied {
				t.Errorf("%d denials are recorded, want %d", n, c.denied)
			}
		})
	}
}
