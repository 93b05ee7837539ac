package grpcserver_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, d *demo, c grpctest.Config) *grpctest.Server {
	t.Helper()
	c.Program, c.Contract = "demo", d.contract
	c.Registrations = []grpcserver.Registration{d.registration()}
	return grpctest.New(t, c)
}

// outcome is what a client sees of a response.
func outcome(err error) (codes.Code, string) {
	e := rpcstatus.ToError(status.Convert(err))
	if e == nil {
		return codes.OK, ""
	}
	return status.Code(err), e.Reason
}

func expect(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	if gotCode, gotReason := outcome(err); gotCode != code || gotReason != reason {
		t.Errorf("answer is %s %q (%v), want %s %q", gotCode, gotReason, err, code, reason)
	}
}

// R50: who may call what, for each kind of access.
func TestAccess(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	me := s.Tokens.Claims("11111111-1111-4111-8111-111111111111")
	gateway, signedIn := s.As("gateway"), s.AsUser(me)
	badToken := s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer nonsense")
	worker := s.As("worker")
	stranger := s.Dial(request.CallerHeader, grpctest.SPIFFE("stranger"), "authorization", "Bearer "+s.Tokens.Sign(me))

	for _, c := range []struct {
		name   string
		conn   grpc.ClientConnInterface
		method string
		pairs  []string
		code   codes.Code
		reason string
	}{
		{"public, anonymous", gateway, "Public", nil, codes.OK, ""},
		{"public ignores a bad token", badToken, "Public", nil, codes.OK, ""},
		{"public, caller without consent", stranger, "Public", nil, codes.PermissionDenied, "CALLER_NOT_ADMITTED"},
		{"signed_in, anonymous", gateway, "SignedIn", nil, codes.Unauthenticated, "TOKEN_REQUIRED"},
		{"signed_in, bad token", badToken, "SignedIn", nil, codes.Unauthenticated, "INVALID_TOKEN"},
		{"signed_in, good token", signedIn, "SignedIn", nil, codes.OK, ""},
		{"signed_in, good token but caller without consent", stranger, "SignedIn", nil, codes.PermissionDenied, "CALLER_NOT_ADMITTED"},
		{"self, anonymous", gateway, "GetUser", []string{"id", me.Subject}, codes.Unauthenticated, "TOKEN_REQUIRED"},
		{"self, oneself", signedIn, "GetUser", []string{"id", me.Subject}, codes.OK, ""},
		{"self, somebody else", signedIn, "GetUser", []string{"id", "somebody"}, codes.NotFound, "USER_NOT_FOUND"},
		{"self, nobody", signedIn, "GetUser", nil, codes.NotFound, "USER_NOT_FOUND"},
		{"nested self, oneself", signedIn, "Nested", []string{"user.id", me.Subject}, codes.OK, ""},
		{"nested self, somebody else", signedIn, "Nested", []string{"user.id", "somebody"}, codes.NotFound, "USER_NOT_FOUND"},
		{"nested self, only the outer id is oneself", signedIn, "Nested", []string{"id", me.Subject}, codes.NotFound, "USER_NOT_FOUND"},
		{"self or permission, oneself", signedIn, "SelfOrPermission", []string{"id", me.Subject}, codes.OK, ""},
		{"self or permission, somebody else", signedIn, "SelfOrPermission", []string{"id", "somebody"}, codes.NotFound, "USER_NOT_FOUND"},
		{"permission", signedIn, "Permission", []string{"id", me.Subject}, codes.NotFound, "USER_NOT_FOUND"},
		{"service, consenting caller", worker, "Service", nil, codes.OK, ""},
		{"service, other caller", gateway, "Service", nil, codes.PermissionDenied, "CALLER_NOT_ADMITTED"},
		{"service, other caller with a good token", signedIn, "Service", nil, codes.PermissionDenied, "CALLER_NOT_ADMITTED"},
		{"every service", stranger, "EveryService", nil, codes.OK, ""},
		{"every service, but one that does not declare the call", s.As("undeclared"), "EveryService", nil, codes.PermissionDenied, "CALLER_NOT_ADMITTED"},
		{"consent that nobody makes use of", worker, "Undeclared", nil, codes.PermissionDenied, "CALLER_NOT_ADMITTED"}, // R94
		{"unknown method", signedIn, "Unknown", nil, codes.Unimplemented, "UNIMPLEMENTED"},
		{"who may not call learns nothing about the request", gateway, "SignedIn", []string{"text", "too long"}, codes.Unauthenticated, "TOKEN_REQUIRED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, d.call(t.Context(), c.conn, c.method, c.pairs...), c.code, c.reason)
		})
	}
}

// R52: the response for a foreign object is the handler's response for an unknown one, byte by
// byte.
func TestForeignLooksUnknown(t *testing.T) {
	d := newDemo(t)
	d.unary = func(context.Context, *message) (*message, error) {
		return nil, apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no such user")
	}
	s := start(t, d, grpctest.Config{})
	me := s.Tokens.Claims("me")
	unknown := status.Convert(d.call(t.Context(), s.AsUser(me), "GetUser", "id", "me")).Proto()
	foreign := status.Convert(d.call(t.Context(), s.AsUser(me), "GetUser", "id", "somebody")).Proto()
	if unknown.String() != foreign.String() {
		t.Errorf("unknown answers %v, foreign answers %v", unknown, foreign)
	}
}

// R51, R62: exactly one well-formed mesh identity, or nothing is answered.
func TestCallingService(t *testing.T) {
	good := grpctest.SPIFFE("gateway")
	for _, c := range []struct {
		name  string
		pairs []string
		ok    bool
	}{
		{"one", []string{request.CallerHeader, good}, true},
		{"none", nil, false},
		{"two", []string{request.CallerHeader, good, request.CallerHeader, good}, false},
		{"two in one value", []string{request.CallerHeader, good + "," + grpctest.SPIFFE("worker")}, false},
		{"empty", []string{request.CallerHeader, ""}, false},
		{"name only", []string{request.CallerHeader, "gateway"}, false},
		{"other scheme", []string{request.CallerHeader, "http://x/ns/default/dc/dc1/svc/gateway"}, false},
		{"no trust domain", []string{request.CallerHeader, "spiffe:///ns/default/dc/dc1/svc/gateway"}, false},
		{"longer path", []string{request.CallerHeader, good + "/gateway"}, false},
		{"shorter path", []string{request.CallerHeader, "spiffe://x/svc/gateway"}, false},
		{"not a service", []string{request.CallerHeader, "spiffe://x/ns/default/dc/dc1/agent/gateway"}, false},
		{"escaped", []string{request.CallerHeader, "spiffe://x/ns/default/dc/dc1/svc/gate%77ay"}, false},
		{"query", []string{request.CallerHeader, good + "?svc=gateway"}, false},
		{"mere look-alike of a consenting name", []string{request.CallerHeader, good + "2"}, false},
		{"another mesh", []string{request.CallerHeader, strings.Replace(good, "11111111-", "22222222-", 1)}, false},          // R94
		{"another datacenter", []string{request.CallerHeader, strings.Replace(good, "/dc/dc1/", "/dc/dc2/", 1)}, false},      // R94
		{"another namespace", []string{request.CallerHeader, strings.Replace(good, "/ns/default/", "/ns/other/", 1)}, false}, // R94
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDemo(t)
			s := start(t, d, grpctest.Config{})
			err := d.call(t.Context(), s.Dial(c.pairs...), "Public")
			if got := status.Code(err); (got == codes.OK) != c.ok || (!c.ok && got != codes.PermissionDenied) {
				t.Errorf("answer is %v, want ok=%v", err, c.ok)
			}
		})
	}
}

func TestBearer(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	good := s.Tokens.Sign(s.Tokens.Claims("me"))
	for name, values := range map[string][]string{
		"two tokens":    {"Bearer " + good, "Bearer " + good},
		"no scheme":     {good},
		"other scheme":  {"Basic " + good},
		"two spaces":    {"Bearer  " + good},
		"list of two":   {"Bearer " + good + ", Bearer " + good},
		"trailing text": {"Bearer " + good + " x"},
	} {
		t.Run(name, func(t *testing.T) {
			pairs := []string{request.CallerHeader, grpctest.SPIFFE("gateway")}
			for _, v := range values {
				pairs = append(pairs, "authorization", v)
			}
			expect(t, d.call(t.Context(), s.Dial(pairs...), "SignedIn"), codes.Unauthenticated, "INVALID_TOKEN")
		})
	}
	lower := s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "bearer "+good)
	expect(t, d.call(t.Context(), lower, "SignedIn"), codes.OK, "")
}

// The handler sees who calls: the program always, the person only where a token was needed.
func TestHandlerSeesCaller(t *testing.T) {
	d := newDemo(t)
	var seen request.Caller
	d.unary = func(ctx context.Context, in *message) (*message, error) {
		seen, _ = request.CallerFrom(ctx)
		return in, nil
	}
	s := start(t, d, grpctest.Config{})
	claims := s.Tokens.Claims("me")
	if err := d.call(t.Context(), s.AsUser(claims), "SignedIn"); err != nil {
		t.Fatal(err)
	}
	if seen.Service != "gateway" || seen.SPIFFE != grpctest.SPIFFE("gateway") || seen.Subject == nil ||
		seen.Subject.UserID != "me" || seen.Subject.OrganizationID != claims.OrganizationID || seen.Subject.SessionID != claims.SessionID {
		t.Errorf("handler saw %+v, subject %+v", seen, seen.Subject)
	}
	if err := d.call(t.Context(), s.AsUser(claims), "Public"); err != nil {
		t.Fatal(err)
	}
	if seen.Subject != nil {
		t.Errorf("a public method saw the subject %+v", seen.Subject)
	}
}

// R62: a token that cannot be decided is 503, never an allow.
func TestUndecidableTokenIsUnavailable(t *testing.T) {
	d := newDemo(t)
	now := time.Now
	tokens := grpctest.NewTokens(t, now)
	list := token.NewRevocationList(now) // never heard of
	s := start(t, d, grpctest.Config{Tokens: tokens, Verifier: token.NewVerifier(tokens.Config(), staticKey{tokens.Key.Public()}, list, now)})
	expect(t, d.call(t.Context(), s.AsUser(tokens.Claims("me")), "SignedIn"), codes.Unavailable, apierr.RevocationsStale().Reason)
}

type staticKey struct{ key token.Key }

func (k staticKey) Key(context.Context, string) (token.Key, error) { return k.key, nil }

// Health answers the local agent, which comes past the mesh; reflection is off unless asked for.
func TestInfrastructureNeedsNoCaller(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	answer, err := healthpb.NewHealthClient(s.Dial()).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health is %v, %v", answer, err)
	}
	_, err = healthpb.NewHealthClient(s.Dial()).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "unknown"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service is %v", err)
	}
	for _, on := range []bool{false, true} {
		s := start(t, d, grpctest.Config{GRPC: grpcserver.Config{Reflection: on}})
		stream, err := s.Dial().NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
		if err == nil {
			_ = stream.CloseSend()
			err = stream.RecvMsg(&healthpb.HealthCheckResponse{})
		}
		if got := errors.Is(err, io.EOF); got != on {
			t.Errorf("reflection on=%v answers %v", on, err)
		}
	}
}

// A service that could not be policed is not served at all.
func TestNewRefusesWhatHasNoPolicy(t *testing.T) {
	d := newDemo(t)
	foreign := d.registration()
	noAccess := grpcserver.Registration{Impl: d, Desc: &grpc.ServiceDesc{
		ServiceName: demoService, HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "NoAccess"}},
	}}
	undeclared := grpcserver.Registration{Impl: d, Desc: &grpc.ServiceDesc{
		ServiceName: "other.v1.Service", HandlerType: (*any)(nil), Methods: []grpc.MethodDesc{{MethodName: "Get"}},
	}}
	for name, c := range map[string]struct {
		program string
		r       grpcserver.Registration
		mesh    request.Mesh
		says    string
	}{
		"no access rule":            {"demo", noAccess, grpctest.Mesh(), "has no access rule"},
		"no contract":               {"demo", undeclared, grpctest.Mesh(), "has no access rule"},
		"another program's service": {"identity", foreign, grpctest.Mesh(), "belongs to the contract of"},
		"no trust domain":           {"demo", d.registration(), request.Mesh{Datacenter: "dc1"}, "needs to know its mesh"}, // R94
		"no datacenter":             {"demo", d.registration(), request.Mesh{TrustDomain: "x.consul"}, "needs to know its mesh"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := grpcserver.New(grpcserver.Params{
				Program: c.program, Contract: d.contract, Mesh: c.mesh, Callers: mesh.Derive(d.contract), Registrations: []grpcserver.Registration{c.r},
			})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the server is made, or says something else: %v, want %q", err, c.says)
			}
		})
	}
}
