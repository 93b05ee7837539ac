package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/web"
)

// reservedPrefixes and reservedNames are what a client must not send: metadata and headers that the
// platform states itself, and what steers the path or the method, or claims an identity, for many
// programs. They are refused rather than dropped, because who sends one wants it believed.
// docs/architecture/gateway.md lists them.
func reservedPrefixes() []string { return []string{"grpc-metadata-", "grpcgateway-", "x-gatehouse-"} }

func reservedNames() []string {
	return []string{
		"x-original-url", "x-rewrite-url", "x-http-method", "x-http-method-override", "x-method-override",
		"x-user", "x-user-id", "x-tenant", "x-tenant-id", "x-organization", "x-organization-id",
	}
}

// Reserved reports whether a header is one of those. An underscore is another way to write '-' for
// many programs.
func Reserved(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return slices.Contains(reservedNames(), name) ||
		slices.ContainsFunc(reservedPrefixes(), func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// closedHeaders refuses reserved headers and drops all others that are not accepted: proxies, CDNs
// and browsers add many to honest requests, X-Forwarded-For among them, which only the edge's
// clientAddress reads, of trusted proxies. A web exchange gets those of browsers and of OAuth
// clients, too.
func closedHeaders(accepted []string) Step {
	known := map[string]bool{}
	for _, name := range accepted {
		known[name] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name := range r.Header {
				if !known[name] && Reserved(name) {
					refuseHeader(w, r, name, "header.reserved", "is set by the platform and must not be sent")
					return
				}
			}
			if name, ok := hopByHop(r.Header.Values("Connection")); !ok {
				refuseHeader(w, r, "Connection", "header.hop_by_hop", "must not list "+name)
				return
			}
			exchange := VisitorsOf(r.Context()) != 0
			for name := range r.Header {
				if !known[name] && !(exchange && web.Carries(name)) {
					delete(r.Header, name)
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

func refuseHeader(w http.ResponseWriter, r *http.Request, name, rule, description string) {
	Fail(w, r, apierr.HeaderNotAllowed().
		WithField(Echo(name), rule, description))
}

// hopByHop reports whether Connection lists only what HTTP itself puts there; name is the first other one. A listed Authorization
// would be removed by one hop and believed by another.
func hopByHop(values []string) (name string, ok bool) {
	for _, value := range values {
		for option := range strings.SplitSeq(value, ",") {
			switch option = strings.TrimSpace(option); strings.ToLower(option) {
			case "", "close", "keep-alive", "te", "upgrade", "http2-settings":
			default:
				return Echo(option), false
			}
		}
	}
	return "", true
}
