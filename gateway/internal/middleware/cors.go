package middleware

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/jub0bs/cors"

	"github.com/gatehouse/gatehouse/internal/rest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// allowOrigins lets pages of the listed origins call the API (R27). Origins are compared whole; patterns are refused. Credentials
// stay off: the token travels in a header that the page sets itself.
func allowOrigins(origins []string) (step, error) {
	if len(origins) == 0 {
		return func(next http.Handler) http.Handler { return next }, nil
	}
	for _, origin := range origins {
		if strings.Contains(origin, "*") {
			return nil, fmt.Errorf("CORS origin %q is a pattern: list each origin as scheme://host[:port]", origin)
		}
	}
	m, err := cors.NewMiddleware(cors.Config{
		Origins:         origins,
		Methods:         []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		RequestHeaders:  pageHeaders(),
		ResponseHeaders: []string{"ETag", "Retry-After", "WWW-Authenticate", rest.ConsistencyToken, rest.StoredMessages, rest.RequestID},
		MaxAgeInSeconds: 600,
	})
	if err != nil {
		return nil, fmt.Errorf("CORS origins: %w", err)
	}
	return m.Wrap, nil
}

// CheckOrigin reports whether browsers can send an origin in this form, for the configuration to
// name the one that is wrong.
func CheckOrigin(origin string) error {
	_, err := allowOrigins([]string{origin})
	return err
}

// pageHeaders are the request headers that a page may send: all that the gateway takes, the one
// that only its log takes too.
func pageHeaders() []string { return append(grpcserver.PageHeaders(), rest.RequestID) }
