package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// findRoute finds the route of the request, or answers 404, or 405 with the verbs that the path has.
func findRoute(table *Table) Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			found, allow, err := table.Find(r)
			switch {
			case errors.Is(err, ErrNoVerb):
				w.Header().Set("Allow", strings.Join(allow, ", "))
				Fail(w, r, &Refusal{Status: http.StatusMethodNotAllowed, Err: apierr.New(apierr.InvalidArgument,
					"METHOD_NOT_ALLOWED", "this path does not have that method: see the Allow header")})
				return
			case err != nil:
				Fail(w, r, apierr.New(apierr.NotFound, "NO_SUCH_PATH", "there is nothing at this path"))
				return
			}
			next.ServeHTTP(w, r.WithContext(WithRoute(r.Context(), found)))
		})
	}
}
