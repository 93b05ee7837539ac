package middleware

import (
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/gateway/internal/rest"
	"github.com/gatehouse/gatehouse/internal/apierr"
)

// allowed is the closed list of request headers that anything behind may see (R51). The rest is dropped unread.
func allowed(name string) bool {
	switch name {
	case "Accept", "Authorization", "Content-Encoding", "Content-Length", "Content-Type", "If-Match", "Origin", rest.ConsistencyToken, rest.LastEventID,
		"Traceparent", "Tracestate", "User-Agent":
		return true
	}
	return false
}

// closedHeaders refuses headers that pose as the platform's own and drops all others that are not on the list. Forwarding headers
// (X-Forwarded-*, Forwarded, X-Real-IP) are among the dropped: honest clients behind a proxy send them without knowing, and only
// clientAddress reads one, of trusted proxies.
func closedHeaders() step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name := range r.Header {
				if !allowed(name) && reserved(name) {
					refuseHeader(w, r, name, "header.reserved", "is set by the platform and must not be sent")
					return
				}
			}
			if name, ok := hopByHop(r.Header.Values("Connection")); !ok {
				refuseHeader(w, r, "Connection", "header.hop_by_hop", "must not list "+name)
				return
			}
			for name := range r.Header {
				if !allowed(name) {
					delete(r.Header, name)
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func refuseHeader(w http.ResponseWriter, r *http.Request, name, rule, description string) {
	rest.Fail(w, r, apierr.New(apierr.InvalidArgument, "HEADER_NOT_ALLOWED", "the request has a header that clients must not send").
		WithField(rest.Echo(name), rule, description))
}

// reserved reports whether a header claims an identity or a mapping that only the platform states. An underscore is another way to
// write '-' for many programs, and for no honest one.
func reserved(name string) bool {
	lower := strings.ToLower(name)
	if strings.Contains(lower, "_") {
		return true
	}
	for _, prefix := range []string{"grpc-metadata-", "grpc-trailer-", "grpcgateway-", "x-gatehouse-", "x-user", "x-tenant", "x-organization",
		"x-original-", "x-rewrite-", "x-client-cert", "x-http-method"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return lower == "x-method-override"
}

// hopByHop reports whether Connection lists only what HTTP itself puts there; name is the first other one. A listed Authorization
// would be removed by one hop and believed by another.
func hopByHop(values []string) (name string, ok bool) {
	for _, value := range values {
		for option := range strings.SplitSeq(value, ",") {
			switch option = strings.TrimSpace(option); strings.ToLower(option) {
			case "", "close", "keep-alive", "te", "upgrade", "http2-settings":
			default:
				return rest.Echo(option), false
			}
		}
	}
	return "", true
}
