package grpcserver_test

import (
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// FuzzMetadata: whatever a program sends beside a call, the answer is never the server's failure.
func FuzzMetadata(f *testing.F) {
	for _, pair := range [][2]string{
		{request.IDHeader, "\x00"}, {request.CallerHeader, grpctest.SPIFFE("gateway")}, {request.ConsistencyHeader, "p"}, {"authorization", "Bearer "},
		{request.ClientAddressHeader, "::"}, {request.ClientAgentHeader, strings.Repeat("x", 1000)}, {"grpc-timeout", "1H"}, {"traceparent", "00-"}, {"x-bin", "\xff"}, {"", "x"},
	} {
		f.Add(pair[0], pair[1])
	}
	s := grpctest.New(f, grpctest.Config{Program: "identity", Callers: grpctest.Consenting(f), Registrations: []grpcserver.Registration{{
		Desc: &identityv1.UserService_ServiceDesc, Impl: &users{},
	}}})
	client := identityv1.NewUserServiceClient(s.AsUser(s.Tokens.Claims(me)))
	f.Fuzz(func(t *testing.T, name, value string) {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.Pairs(strings.ToLower(name), value))
		_, err := client.GetUser(ctx, &identityv1.GetUserRequest{Id: me})
		switch code, reason := outcome(err); {
		case code == codes.Internal && (name == "" || strings.Contains(err.Error(), "header key") || strings.Contains(err.Error(), "header value")):
			// gRPC's own client refused to send it
		case code == codes.Internal, code == codes.Unknown, code == codes.Unavailable:
			t.Errorf("%q: %q is answered %s %s: %v", name, value, code, reason, err)
		}
	})
}

// FuzzDoorRequest: whatever somebody sends to the door, the answer is never the server's failure,
// and every refusal has its reason.
func FuzzDoorRequest(f *testing.F) {
	for _, seed := range [][3]string{
		{"update_mask=display_name", `{"display_name":"x"}`, `"v1"`}, {"update_mask=a..b", `{}`, "*"}, {"update_mask=%00", `{"display_name":null}`, ""},
		{"", `{"display_name":"\ud800"}`, ""}, {"", `{"create_time":"x"}`, ""}, {"x=1", `[]`, ""}, {"update_mask=*", `{"a":{"b":[`, `W/"`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	s := grpctest.New(f, grpctest.Config{Program: "identity", Callers: grpctest.Consenting(f), Registrations: []grpcserver.Registration{{
		Desc: &identityv1.UserService_ServiceDesc, Impl: &users{}, REST: identityv1.RegisterUserServiceHandler,
	}}})
	door := s.DoorHandler()
	bearer := "Bearer " + s.Tokens.Sign(s.Tokens.Claims(me))
	f.Fuzz(func(t *testing.T, query, body, match string) {
		r := httptest.NewRequestWithContext(t.Context(), "PATCH", "/api/v1/users/"+me, strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Authorization", bearer)
		r.Header.Set("Content-Type", "application/json")
		if match = textproto.TrimString(match); match != "" {
			r.Header["If-Match"] = []string{match}
		}
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError || w.Code >= http.StatusBadRequest && !strings.Contains(w.Body.String(), `"reason":"`) {
			t.Errorf("%q %q %q is answered %d %s", query, body, match, w.Code, w.Body)
		}
	})
}
