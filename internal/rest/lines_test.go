package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// imports is an import that counts its messages, and fails at the one after the last that it takes.
type imports struct {
	identityv1.UserServiceClient
	takes int
	took  chan<- struct{} // receives when a message was taken, if somebody waits
}

func (c imports) ImportUsers(ctx context.Context, _ ...grpc.CallOption) (grpc.ClientStreamingClient[identityv1.ImportUsersRequest, identityv1.ImportUsersResponse], error) {
	return &importing{ctx: ctx, imports: c}, nil
}

type importing struct {
	grpc.ClientStream
	ctx context.Context // as in gRPC's own streams
	imports
	count   int
	failure error
}

func (s *importing) Send(*identityv1.ImportUsersRequest) error {
	if s.count == s.takes {
		s.failure = rpcstatus.FromError(apierr.New(apierr.NotFound, "ORGANIZATION_NOT_FOUND", "no such organization")).Err()
		return io.EOF
	}
	s.count++
	select {
	case s.took <- struct{}{}:
	default:
	}
	return nil
}

func (s *importing) Header() (metadata.MD, error) { return nil, nil }
func (s *importing) CloseSend() error             { return nil }

func (s *importing) Trailer() metadata.MD {
	return metadata.Pairs(request.StoredMessagesHeader, strconv.Itoa(s.count))
}

func (s *importing) CloseAndRecv() (*identityv1.ImportUsersResponse, error) {
	if s.failure != nil {
		return nil, s.failure
	}
	return &identityv1.ImportUsersResponse{Messages: int64(s.count)}, s.ctx.Err()
}

const importPath = "/api/v1/users:import"

// importServer serves an import whose lines have at most 1,000 bytes.
func importServer(t *testing.T, takes int) (server *httptest.Server, h *Handler, took <-chan struct{}) {
	t.Helper()
	return importServerAt(t, takes, time.Now)
}

func importServerAt(t *testing.T, takes int, now func() time.Time) (server *httptest.Server, h *Handler, took <-chan struct{}) {
	t.Helper()
	taken := make(chan struct{}, 1)
	c := meshtest.Contract(t)
	form := testForm()
	form.Message, form.Headers = form.Stream, []string{"Content-Type", "Content-Length"}
	var err error
	if h, err = NewHandler(form, c.Methods(), nil, now, func(ctx context.Context, mux *runtime.ServeMux) error {
		return identityv1.RegisterUserServiceHandlerClient(ctx, mux, imports{takes: takes, took: taken})
	}); err != nil {
		t.Fatal(err)
	}
	server = httptest.NewServer(Chain(h, Checks(form, h), LimitBody(1000)))
	t.Cleanup(server.Close)
	return server, h, taken
}

func importLine(n int) string {
	return fmt.Sprintf(`{"organization_id":"5f0c7a52-3c1e-4d8f-9b6a-2e4d6c8b0a1f","users":[{"email":"u%d@example.com"}]}`, n) + "\n"
}

// post sends a body and compares status, reason, what the detail begins with, and how much is
// stored.
func post(t *testing.T, server *httptest.Server, kind string, body io.Reader, status int, reason, detail, stored string) {
	t.Helper()
	resp, err := http.Post(server.URL+importPath, kind, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Reason, Detail, Messages string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status || answer.Reason != reason || !strings.HasPrefix(answer.Detail, detail) || resp.Header.Get(StoredMessages) != stored {
		t.Errorf("%d %+v with %q stored, want %d %s %q with %q", resp.StatusCode, answer, resp.Header.Get(StoredMessages), status, reason, detail, stored)
	}
	if status == http.StatusOK && answer.Messages != stored {
		t.Errorf("answered %+v, want %s messages", answer, stored)
	}
}

// A stream of lines may be as long as it likes; each line is bounded and checked by itself, and a
// broken one does not hide what was stored.
func TestLines(t *testing.T) {
	const lines = "application/x-ndjson"
	server, _, _ := importServer(t, 1<<20)
	var long strings.Builder
	for n := range 500 {
		long.WriteString(importLine(n))
	}
	post(t, server, lines, strings.NewReader(long.String()), http.StatusOK, "", "", "500")
	post(t, server, lines, strings.NewReader(importLine(1)+"\r\n\n"+strings.TrimSpace(importLine(2))), http.StatusOK, "", "", "2")
	post(t, server, lines, strings.NewReader(""), http.StatusOK, "", "", "0")
	for name, c := range map[string]struct {
		line, reason string
		status       int
	}{
		"no JSON":       {"{", "MALFORMED_JSON", 400},
		"two objects":   {"{} {}", "MALFORMED_JSON", 400},
		"unknown field": {`{"password":"canary"}`, "UNKNOWN_FIELD", 400},
		"wrong type":    {`{"users":[{"email":7}]}`, "INVALID_FIELD", 400},
		"too long":      {`{"organization_id":"` + strings.Repeat("x", 1000) + `"}`, "BODY_TOO_LARGE", 413},
	} {
		t.Run(name, func(t *testing.T) {
			post(t, server, lines, strings.NewReader(importLine(1)+importLine(2)+c.line+"\n"+importLine(4)), c.status, c.reason, "line 3: ", "2")
		})
	}
	post(t, server, "application/json", strings.NewReader(importLine(1)), http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "", "")
	post(t, server, lines+"; charset=x", strings.NewReader(importLine(1)), http.StatusOK, "", "", "1")
	refusing, _, _ := importServer(t, 3)
	post(t, refusing, lines, strings.NewReader(long.String()), http.StatusNotFound, "ORGANIZATION_NOT_FOUND", "", "3")
}

// A stream of lines that ended leaves nothing on its connection that ends the next one: a deadline
// that fires between two requests would. This clock's fire at once.
func TestLinesLeaveTheConnection(t *testing.T) {
	server, _, _ := importServerAt(t, 1<<20, func() time.Time { return time.Now().Add(2*time.Second - lineTime) })
	for range 200 {
		post(t, server, "application/x-ndjson", strings.NewReader(importLine(1)), http.StatusOK, "", "", "1")
	}
}

// A line that does not come ends the stream, and one that comes slowly but in time does not.
func TestSlowLines(t *testing.T) {
	late := func() time.Time { return time.Now().Add(2*time.Second - lineTime) } // a line has 2 s
	server, _, _ := importServerAt(t, 1<<20, late)
	reader, writer := io.Pipe()
	go func() {
		for n := range 8 { // together longer than one line may take
			<-time.After(300 * time.Millisecond)
			_, _ = io.WriteString(writer, importLine(n))
		}
		_, _ = io.WriteString(writer, `{"organ`)
	}()
	post(t, server, "application/x-ndjson", reader, http.StatusRequestTimeout, "BODY_TIMEOUT", "line 9: ", "8")
	_ = writer.Close()
}

// A stopping program ends streams of lines, and says so.
func TestLinesEndWithTheDrain(t *testing.T) {
	server, h, took := importServer(t, 1<<20)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line := importLine(1)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", importPath, 2*len(line), line)
	<-took
	h.Drain()
	text, err := io.ReadAll(conn)
	if err != nil || !strings.Contains(string(text), "503 Service Unavailable") || !strings.Contains(string(text), "SHUTTING_DOWN") {
		t.Errorf("answered %s, %v", text, err)
	}
}

// Who is refused hears it at once, also while it sends no further: the rest of its body is not
// waited for.
func TestRefusedLinesAreAnsweredBeforeTheBodyEnds(t *testing.T) {
	server, _, _ := importServer(t, 1)
	for name, c := range map[string]struct{ body, reason string }{
		"by a line":      {importLine(1) + "{\n", "MALFORMED_JSON"},
		"by the service": {importLine(1) + importLine(2), "ORGANIZATION_NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second)) // far longer than any answer takes
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", importPath, len(c.body)+100, c.body)
			text, err := io.ReadAll(conn)
			if err != nil || !strings.Contains(string(text), c.reason) {
				t.Errorf("answered %q, %v; want %s", text, err, c.reason)
			}
		})
	}
}
