package verify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
)

// rbac is what a sidecar says when an intention refuses a call.
const rbac = "RBAC: access denied"

// upstreamTime is the header that a sidecar adds to an answer that came from the service behind it, never to one of its own.
const upstreamTime = "x-envoy-upstream-service-time"

// classify tells whose answer it is. A call has passed only when the service itself has demonstrably answered: that it could not read
// the message, or anything else with details of its own. A refusal that is not the sidecar's proves nothing good: the service was asked
// by a caller that it does not take for an allowed one, such as the forged one.
func classify(header metadata.MD, err error) (Verdict, string) {
	if err == nil || errors.Is(err, io.EOF) {
		return Passed, "OK"
	}
	answer := status.Convert(err)
	text := fmt.Sprintf("%s: %s", answer.Code(), answer.Message())
	switch answer.Code() {
	case codes.PermissionDenied:
		if answer.Message() == rbac {
			return Refused, text
		}
		return Broken, text
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Unimplemented:
		return Broken, text
	default: // it may be the program's own answer
	}
	if len(answer.Details()) > 0 || len(header.Get(upstreamTime)) > 0 || strings.Contains(answer.Message(), "unmarshal") {
		return Passed, text
	}
	return Broken, "an answer that proves nothing: " + text
}

// overHTTP asks the edge's sidecar over HTTP, which refuses with 403 and its own text.
func overHTTP(ctx context.Context, address, path string, config *tls.Config) (Verdict, string) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	get, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+path, nil)
	if err != nil {
		return Broken, err.Error()
	}
	answer, err := client.Do(get)
	if err != nil {
		return Broken, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if err != nil {
		return Broken, err.Error()
	}
	text := fmt.Sprintf("%s: %s", answer.Status, body)
	switch {
	case answer.StatusCode == http.StatusForbidden && string(body) == rbac:
		return Refused, text
	case answer.StatusCode == http.StatusServiceUnavailable || answer.StatusCode == http.StatusBadGateway || answer.StatusCode == http.StatusGatewayTimeout:
		return Broken, text
	default:
		return Passed, text
	}
}

// What a client says first, so that the other side must answer.
var (
	preface    = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00") //nolint:gochecknoglobals // constant: HTTP/2 with empty settings (RFC 9113, 3.4)
	sslRequest = []byte{0, 0, 0, 8, 4, 210, 22, 47}                                             //nolint:gochecknoglobals // constant: PostgreSQL's SSLRequest, answered by "S" or "N"
)

// tlsAlert is the first byte of a TLS alert record: a refusal, not an answer.
const tlsAlert = 0x15

// speak connects, over TLS when a configuration is given, says hello and tells whether the service answers.
func speak(ctx context.Context, dial rawcall.Dialer, address string, config *tls.Config, hello []byte) (Verdict, string) {
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return Broken, err.Error() // nobody listens: that is not a refusal
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return Broken, err.Error()
		}
	}
	if config != nil {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return closed(err)
		}
		conn = secured
	}
	if _, err := conn.Write(hello); err != nil {
		return closed(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		return closed(err)
	}
	if config == nil && first[0] == tlsAlert {
		return Refused, "TLS alert"
	}
	return Passed, fmt.Sprintf("it answers %q", first)
}

// closed is a connection that the other side ended. Silence until the deadline is not a refusal.
func closed(err error) (Verdict, string) {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Broken, "no answer in time"
	}
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) {
		return Broken, err.Error()
	}
	return Refused, err.Error()
}
