package grpcserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// users answers as Identity would, and keeps what it knows of the last request.
type users struct {
	identityv1.UnimplementedUserServiceServer
	caller atomic.Pointer[request.Caller]
	client atomic.Pointer[request.Client]
	id     atomic.Pointer[string]
	event  atomic.Pointer[event.Event]
}

func (u *users) GetUser(ctx context.Context, r *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	caller, _ := request.CallerFrom(ctx)
	client, id := request.ClientOf(ctx), request.ID(ctx)
	u.caller.Store(&caller)
	u.client.Store(&client)
	u.id.Store(&id)
	return &identityv1.GetUserResponse{User: &identityv1.User{Id: r.GetId(), Etag: "v1"}}, nil
}

func (u *users) UpdateUser(ctx context.Context, r *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error) {
	e := event.FromContext(ctx)
	u.event.Store(&e)
	return &identityv1.UpdateUserResponse{User: r.GetUser()}, nil
}

// doorOf opens the REST door of a server in memory, and returns a token of who is signed in.
func doorOf(t *testing.T, program string, log io.Writer, registrations ...grpcserver.Registration) (s *grpctest.Server, url, bearer string) {
	t.Helper()
	s = grpctest.New(t, grpctest.Config{Program: program, Log: log, Registrations: registrations, Callers: grpctest.Consenting(t)})
	url, _ = s.Door()
	return s, url, "Bearer " + s.Tokens.Sign(s.Tokens.Claims(me))
}

func userDoor(t *testing.T) (u *users, s *grpctest.Server, url, bearer string) {
	t.Helper()
	u = &users{}
	s, url, bearer = doorOf(t, "identity", nil, grpcserver.Registration{
		Desc: &identityv1.UserService_ServiceDesc, Impl: u, REST: identityv1.RegisterUserServiceHandler,
	})
	return u, s, url, bearer
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

// reason is that of a problem document.
func (a answer) reason() string {
	var problem struct{ Reason string }
	_ = json.Unmarshal([]byte(a.body), &problem) // what is not one has none
	return problem.Reason
}

func send(t *testing.T, method, url, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	return answered(t, r)
}

// answered sends a request on a connection of its own, and follows no redirect.
func answered(t *testing.T, r *http.Request) answer {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(text)}
}

// A service answers the routes of its contract itself, as the edge does: with the shape of
// requests, the bearer token, the statuses and the reasons.
func TestDoor(t *testing.T) {
	_, _, url, bearer := userDoor(t)
	own := "/api/v1/users/" + me
	for name, c := range map[string]struct {
		method, path, body, bearer string
		header                     []string
		status                     int
		reason                     string
	}{
		"oneself":            {"GET", own, "", bearer, nil, 200, ""},
		"head":               {"HEAD", own, "", bearer, nil, 200, ""},
		"anonymous":          {"GET", own, "", "", nil, 401, "TOKEN_REQUIRED"},
		"a bad token":        {"GET", own, "", "Bearer nonsense", nil, 401, "INVALID_TOKEN"},
		"no bearer":          {"GET", own, "", "Basic eA==", nil, 401, "INVALID_TOKEN"},
		"somebody else":      {"GET", "/api/v1/users/22222222-2222-4222-8222-222222222222", "", bearer, nil, 404, "USER_NOT_FOUND"},
		"change":             {"PATCH", own, `{"display_name":"x"}`, bearer, nil, 200, ""},
		"unknown field":      {"PATCH", own, `{"shoe_size":1}`, bearer, nil, 400, "UNKNOWN_FIELD"},
		"anonymous nonsense": {"PATCH", own, `{"shoe_size":1}`, "", nil, 401, "TOKEN_REQUIRED"},
		"too much":           {"PATCH", own, `{"display_name":"` + strings.Repeat("x", 1<<20) + `"}`, bearer, nil, 413, "BODY_TOO_LARGE"},
		"unknown parameter":  {"GET", own + "?x=1", "", bearer, nil, 400, "UNKNOWN_PARAMETER"},
		"no such path":       {"GET", "/api/v1/nothing", "", bearer, nil, 404, "NO_SUCH_PATH"},
		"another service's":  {"POST", "/api/v1/auth/sign-in", "{}", "", nil, 404, "NO_SUCH_PATH"},
		"no such verb":       {"PUT", own, "{}", bearer, nil, 405, "METHOD_NOT_ALLOWED"},
		"two readings":       {"GET", "/api/v1//users", "", bearer, nil, 400, "AMBIGUOUS_PATH"},
		"poses as a program": {"GET", own, "", bearer, []string{request.CallerHeader, grpctest.SPIFFE("gateway")}, 400, "HEADER_NOT_ALLOWED"},
		"metadata":           {"GET", own, "", bearer, []string{"Grpc-Metadata-" + request.CallerHeader, "x"}, 400, "HEADER_NOT_ALLOWED"},
		"a defect":           {"GET", "/api/v1/me", "", bearer, nil, 500, "INTERNAL"},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, c.method, url+c.path, c.body, append([]string{"Authorization", c.bearer}, c.header...)...)
			if a.StatusCode != c.status || c.method != "HEAD" && a.reason() != c.reason {
				t.Errorf("%d %s, want %d %s", a.StatusCode, a.body, c.status, c.reason)
			}
			if a.Header.Get("X-Request-Id") == "" || a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("the response lacks its id or the security headers: %v", a.Header)
			}
		})
	}
}

// Handlers and the trail know the service itself as the caller, and where the request came from.
func TestDoorIsTheServiceItself(t *testing.T) {
	u, _, url, bearer := userDoor(t)
	a := send(t, "GET", url+"/api/v1/users/"+me, "", "Authorization", bearer, "User-Agent", "curl/8")
	if a.StatusCode != 200 || a.Header.Get("ETag") != `"v1"` {
		t.Fatalf("%d %s %v", a.StatusCode, a.body, a.Header)
	}
	caller, client := u.caller.Load(), u.client.Load()
	if caller.Service != "identity" || caller.SPIFFE != grpctest.SPIFFE("identity") || caller.Subject.UserID != me {
		t.Errorf("the caller is %+v", caller)
	}
	if *client != (request.Client{Address: "127.0.0.1", Agent: "curl/8"}) || *u.id.Load() != a.Header.Get("X-Request-Id") {
		t.Errorf("the client is %+v, the request %s", client, *u.id.Load())
	}
	if a = send(t, "PATCH", url+"/api/v1/users/"+me, `{"display_name":"x"}`, "Authorization", bearer); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if e := u.event.Load(); e.Caller != "identity" || e.Source != "identity" || e.ClientAddress != "127.0.0.1" {
		t.Errorf("the event is %+v", e)
	}
}

// Who comes to the port cannot say that it is the program: only the connection from inside is.
func TestNobodyElseIsInside(t *testing.T) {
	_, s, _, bearer := userDoor(t)
	posing := s.Dial(request.CallerHeader, grpctest.SPIFFE("identity"), "authorization", bearer)
	_, err := identityv1.NewUserServiceClient(posing).GetUser(t.Context(), &identityv1.GetUserRequest{Id: me})
	expect(t, err, codes.PermissionDenied, "CALLER_NOT_ADMITTED")
}

// From inside, only methods with a route are open, whatever the headers say, and a token is needed
// as from outside.
func TestInsideOnlyRoutesAreOpen(t *testing.T) {
	u := &users{}
	tokens := grpctest.NewTokens(t, time.Now)
	linked := meshtest.Contract(t)
	log := slog.New(slog.DiscardHandler)
	server, err := grpcserver.New(grpcserver.Params{
		Program: "identity", Contract: linked, Mesh: grpctest.Mesh(), Callers: grpctest.Consenting(t), Verifier: tokens.Verifier(),
		Permissions: grpctest.NewGrants(), Refusals: grpctest.NewTrail(), Health: health.New(log), Log: log, Now: time.Now,
		Registrations: []grpcserver.Registration{
			{Desc: &identityv1.UserService_ServiceDesc, Impl: u, REST: identityv1.RegisterUserServiceHandler},
			{Desc: &identityv1.UserDirectoryService_ServiceDesc, Impl: identityv1.UnimplementedUserDirectoryServiceServer{}},
		},
	})
	check.NoError(t, err)
	t.Cleanup(server.Stop)
	door, err := server.NewDoor(func() string { return "id" })
	check.NoError(t, err)
	t.Cleanup(func() { _ = door.Close() })
	go func() { _ = door.Serve() }()
	conn, err := grpc.NewClient("passthrough:///inside", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return door.Dial(ctx) }))
	check.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })

	signedIn := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+tokens.Sign(tokens.Claims(me)),
		request.CallerHeader, grpctest.SPIFFE("gateway"), request.CallerHeader, "twice")
	_, err = identityv1.NewUserServiceClient(conn).GetUser(signedIn, &identityv1.GetUserRequest{Id: me})
	expect(t, err, codes.OK, "")
	if caller := u.caller.Load(); caller == nil || caller.Service != "identity" {
		t.Errorf("the caller is %+v", caller)
	}
	_, err = identityv1.NewUserServiceClient(conn).GetUser(t.Context(), &identityv1.GetUserRequest{Id: me})
	expect(t, err, codes.Unauthenticated, "TOKEN_REQUIRED")
	_, err = identityv1.NewUserDirectoryServiceClient(conn).RegisterUser(signedIn, &identityv1.RegisterUserRequest{})
	expect(t, err, codes.PermissionDenied, "CALLER_NOT_ADMITTED")
}

// What no call tells of is in the log, with what it was answered, and without the query.
func TestDoorTellsOfRefusals(t *testing.T) {
	var log logLines
	_, url, bearer := doorOf(t, "identity", &log, grpcserver.Registration{
		Desc: &identityv1.UserService_ServiceDesc, Impl: &users{}, REST: identityv1.RegisterUserServiceHandler,
	})
	a := send(t, "GET", url+"/api/v1/nothing?canary=1", "", "Authorization", bearer)
	check.Eventually(t, "a line of the request", func() bool {
		return strings.Contains(log.String(), a.Header.Get("X-Request-Id")) && strings.Contains(log.String(), `"status":404`)
	})
	if strings.Contains(log.String(), "canary") || strings.Contains(log.String(), "Bearer") {
		t.Errorf("the log tells secrets: %s", log.String())
	}
}

// signIns takes no password.
type signIns struct {
	authv1.UnimplementedAuthServiceServer
}

func (signIns) SignIn(context.Context, *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	return nil, apierr.New(apierr.Unauthenticated, "INVALID_CREDENTIALS", "wrong")
}

// Who guesses passwords at the door is slowed down, by route.
func TestDoorSlowsGuesses(t *testing.T) {
	_, url, _ := doorOf(t, "auth", nil, grpcserver.Registration{
		Desc: &authv1.AuthService_ServiceDesc, Impl: signIns{}, REST: authv1.RegisterAuthServiceHandler,
	})
	guess := func(path string) answer { return send(t, "POST", url+path, `{"email":"a@example.com","password":"x"}`) }
	last := guess("/api/v1/auth/sign-in")
	for n := 0; last.StatusCode != http.StatusTooManyRequests; n++ {
		if n > 1000 || last.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d is answered %d %s", n, last.StatusCode, last.body)
		}
		last = guess("/api/v1/auth/sign-in")
	}
	if last.reason() != "RATE_LIMITED" || last.Header.Get("Retry-After") == "" {
		t.Errorf("%s %v", last.body, last.Header)
	}
	if other := guess("/api/v1/auth/refresh"); other.StatusCode == http.StatusTooManyRequests {
		t.Errorf("another route shares the budget: %s", other.body)
	}
}

// tails counts from the cursor on until its stream ends.
type tails struct {
	auditv1.UnimplementedAuditServiceServer
}

func (tails) TailEvents(r *auditv1.TailEventsRequest, stream grpc.ServerStreamingServer[auditv1.TailEventsResponse]) error {
	if err := stream.Send(&auditv1.TailEventsResponse{Cursor: r.GetCursor() + "1", Event: &auditv1.Event{Id: "1"}}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// Streams at the door are those of the edge: lines or events, each sent at once, resumed after a
// message, and told why they end.
func TestDoorStreams(t *testing.T) {
	grants := grpctest.NewGrants()
	grants.Allow(me, "can_read_audit", "platform:gatehouse")
	s := grpctest.New(t, grpctest.Config{Program: "audit", Permissions: grants, Callers: grpctest.Consenting(t), Registrations: []grpcserver.Registration{{
		Desc: &auditv1.AuditService_ServiceDesc, Impl: tails{}, REST: auditv1.RegisterAuditServiceHandler,
	}}})
	url, drain := s.Door()
	bearer := "Bearer " + s.Tokens.Sign(s.Tokens.Claims(me))
	open := func(header ...string) *bufio.Scanner {
		r, err := http.NewRequestWithContext(t.Context(), "GET", url+"/api/v1/audit/events:tail", nil)
		check.NoError(t, err)
		r.Header.Set("Authorization", bearer)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		check.NoError(t, err)
		t.Cleanup(func() { _ = response.Body.Close() })
		if response.StatusCode != http.StatusOK {
			t.Fatalf("the stream is answered %d", response.StatusCode)
		}
		lines := bufio.NewScanner(response.Body)
		lines.Scan()
		return lines
	}
	lines := open()
	if !strings.Contains(lines.Text(), `"cursor":"1"`) {
		t.Errorf("the first line is %s", lines.Text())
	}
	events := open("Accept", "text/event-stream", "Last-Event-ID", "7")
	if events.Text() != "id: 71" {
		t.Errorf("the first line is %s", events.Text())
	}
	drain()
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	if !strings.Contains(last, `{"error":`) || !strings.Contains(last, "SHUTTING_DOWN") {
		t.Errorf("the last line is %s", last)
	}
}

// takers takes messages of one user each, and refuses the first that has more.
type takers struct {
	identityv1.UnimplementedUserServiceServer
}

func (takers) ImportUsers(stream grpc.ClientStreamingServer[identityv1.ImportUsersRequest, identityv1.ImportUsersResponse]) error {
	stored := &identityv1.ImportUsersResponse{}
	defer func() {
		stream.SetTrailer(metadata.Pairs(request.StoredMessagesHeader, strconv.FormatInt(stored.GetMessages(), 10)))
	}()
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return stream.SendAndClose(stored)
		case err != nil:
			return err
		case len(m.GetUsers()) > 1:
			return apierr.New(apierr.NotFound, "ORGANIZATION_NOT_FOUND", "no such organization")
		}
		stored.Messages++
	}
}

// However lines at the door end, by a line, by its rules, by a permission or by the service: the
// response says so, and how many are stored.
func TestDoorLines(t *testing.T) {
	const (
		own     = "5f0c7a52-3c1e-4d8f-9b6a-2e4d6c8b0a1f"
		foreign = "6f0c7a52-3c1e-4d8f-9b6a-2e4d6c8b0a1f"
	)
	grants := grpctest.NewGrants()
	grants.Allow(me, "can_create_users", "organization:"+own)
	s := grpctest.New(t, grpctest.Config{Program: "identity", Permissions: grants, Callers: grpctest.Consenting(t), Registrations: []grpcserver.Registration{{
		Desc: &identityv1.UserService_ServiceDesc, Impl: takers{}, REST: identityv1.RegisterUserServiceHandler,
	}}})
	url, _ := s.Door()
	bearer := "Bearer " + s.Tokens.Sign(s.Tokens.Claims(me))
	line := func(organization string, emails ...string) string {
		return `{"organization_id":"` + organization + `","users":[{"email":"` + strings.Join(emails, `"},{"email":"`) + "\"}]}\n"
	}
	good := line(own, "a@example.com")
	for name, c := range map[string]struct {
		body, bearer   string
		status         int
		reason, stored string
	}{
		"all":               {good + good + good, bearer, 200, "", "3"},
		"none":              {"", bearer, 200, "", "0"},
		"a bad line":        {good + "{\n" + good, bearer, 400, "MALFORMED_JSON", "1"},
		"a bad value":       {good + line(own, "x") + good, bearer, 400, "INVALID_ARGUMENT", "1"},
		"somebody else's":   {good + good + line(foreign, "a@example.com") + good, bearer, 404, "ORGANIZATION_NOT_FOUND", "2"},
		"refused":           {good + line(own, "a@example.com", "b@example.com") + good, bearer, 404, "ORGANIZATION_NOT_FOUND", "1"},
		"the first refused": {line(own, "a@example.com", "b@example.com"), bearer, 404, "ORGANIZATION_NOT_FOUND", "0"},
		"anonymous":         {good, "", 401, "TOKEN_REQUIRED", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, "POST", url+"/api/v1/users:import", c.body, "Authorization", c.bearer, "Content-Type", "application/x-ndjson")
			if a.StatusCode != c.status || a.reason() != c.reason || a.Header.Get("Gatehouse-Stored-Messages") != c.stored {
				t.Errorf("%d %s with %q stored, want %d %s with %q", a.StatusCode, a.body, a.Header.Get("Gatehouse-Stored-Messages"), c.status, c.reason, c.stored)
			}
		})
	}
}
