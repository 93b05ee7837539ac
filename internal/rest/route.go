package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// findRoute finds the route of the request, or answers 404, or 405 with the verbs that the path
// has.
func findRoute(h *Handler) Step {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			found, allow, err := h.find(r)
			switch {
			case errors.Is(err, errNoVerb):
				w.Header().Set("Allow", strings.Join(allow, ", "))
				Fail(w, r, apierr.MethodNotAllowed())
				return
			case err != nil:
				Fail(w, r, apierr.NoSuchPath())
				return
			}
			next.ServeHTTP(w, r.WithContext(withRoute(r.Context(), found)))
		})
	}
}
