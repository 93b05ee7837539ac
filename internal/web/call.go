package web

import (
	"context"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/contract"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

// Call is a web exchange as a door calls it.
type Call struct {
	messages

	method string
	conn   grpc.ClientConnInterface
}

// NewCall prepares the calls of a method on a connection. The generated code of its messages has to
// be linked.
func NewCall(m *contract.Method, conn grpc.ClientConnInterface) (*Call, error) {
	types, err := messagesOf(m)
	if err != nil {
		return nil, err
	}
	return &Call{messages: types, method: m.FullName, conn: conn}, nil
}

// Do sends a request and returns the response. Errors are those of gRPC; one with a status of HTTP
// is a response.
func (c *Call) Do(ctx context.Context, asked *webv1.Request) (*webv1.Response, error) {
	out := c.response.New().Interface()
	if err := c.conn.Invoke(ctx, c.method, around(c.request, asked), out); err != nil {
		return nil, err
	}
	return inside[*webv1.Response](out)
}
