package grpctest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// WithTrailers makes a unary call with an empty message to a port of loopback as no gRPC client
// does: its request ends with trailers. It returns the gRPC status, "" with an error when the
// connection was cut.
func WithTrailers(ctx context.Context, port int, method string) (status string, err error) {
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// The length of the body is unknown, so that it ends with the trailers.
	body := struct{ io.Reader }{strings.NewReader("\x00\x00\x00\x00\x00")}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d%s", port, method), body)
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	r.Trailer = http.Header{"X-End": {"of the request"}}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	return response.Header.Get("Grpc-Status") + response.Trailer.Get("Grpc-Status"), nil
}
