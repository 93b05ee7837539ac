package grpcserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
)

// form is what REST looks like at every door, the edge's and each service's: how messages are
// written, and which headers of a request what is behind may see (R51).
func form() rest.Form {
	return rest.Form{
		Message: protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true},
		Stream:  protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}, // an absent message is left out: a sign of life is only its cursor
		Headers: append(PageHeaders(), "Content-Length", "Expect", "Origin"),            // those that browsers keep to themselves (Fetch, section 2.2.2)
	}
}

// PageHeaders are the accepted request headers that a web page can set.
func PageHeaders() []string {
	return []string{
		"Accept", "Authorization", "Content-Encoding", "Content-Type", "If-Match", "Traceparent", "Tracestate", "User-Agent",
		rest.ConsistencyToken, rest.LastEventID,
	}
}

// RESTHandler registers the generated REST handlers of one gRPC service, which reach it on the
// connection: Register…Handler of its package.
type RESTHandler = func(ctx context.Context, mux *runtime.ServeMux, conn *grpc.ClientConn) error

// REST is HTTP in front of gRPC, as it is at every door. Who may come, from where and how often is
// the door's own business: the steps that it puts between.
type REST struct {
	Handler *rest.Handler // behind Checks
}

// NewREST makes the routes of the methods that have one, and of a door's own documents by path;
// registers lead to the services that answer. What is no web exchange is below contract.APIPrefix.
func NewREST(methods []*contract.Method, own map[string]http.Handler, now func() time.Time, registers ...rest.Register) (*REST, error) {
	for _, m := range methods {
		if m.Route != nil && !m.Exchange && !strings.HasPrefix(m.Route.Path, contract.APIPrefix) {
			return nil, fmt.Errorf("the route of %s is %s: routes begin with %s", m.FullName, m.Route.Path, contract.APIPrefix)
		}
	}
	handler, err := rest.NewHandler(form(), methods, own, now, registers...)
	if err != nil {
		return nil, err
	}
	return &REST{Handler: handler}, nil
}

// Recognize comes first: it decides in which form a request is refused.
func (r *REST) Recognize() rest.Step { return rest.Recognize(r.Handler) }

// Framing comes before whatever may answer.
func Framing() rest.Step { return rest.OneChunked() }

// Checks hold a request to one shape and find its route.
func (r *REST) Checks() rest.Step { return rest.Checks(form(), r.Handler) }
