// Package web serves HTTP through the mesh: it turns the methods of a service that are web
// exchanges (proto/gatehouse/web/v1) into requests to http.Handlers, and says what of HTTP passes
// in either direction.
//
// A handler sees one request: verb and path of its route, the query as it was sent, the headers of
// Carries, the body, the client's address and User-Agent, and the context of the call
// (internal/request). It answers as to a client, and says by Refuse why it refuses, or ends by Fail
// with an error that the door puts into words. The doors (internal/rest) and services that have web
// exchanges import it.
package web

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/contract"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

// MaxForm is the largest body of a request, in bytes; MaxPage that of a response.
const (
	MaxForm = 64 << 10
	MaxPage = 256 << 10
)

// FormType is the only media type of request bodies.
const FormType = "application/x-www-form-urlencoded"

// Carries reports whether a header of the request, in canonical form, reaches the handler.
// Authorization, Cookie and what browsers say of a request reach no other method. User-Agent
// travels as with every call.
func Carries(name string) bool {
	return slices.Contains([]string{
		"Accept", "Accept-Language", "Authorization", "Content-Type", "Cookie", "Origin",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
	}, name)
}

// Leaves reports whether a header that the handler sets, in canonical form, is sent. The others are
// those that the door answers for: framing, CORS, the security headers that hold for every response
// (R26).
func Leaves(name string) bool {
	return slices.Contains([]string{
		"Allow", "Cache-Control", "Content-Language", "Content-Security-Policy", "Content-Type", "Location", "Pragma", "Referrer-Policy",
		"Retry-After", "Set-Cookie", "Vary", "Www-Authenticate",
	}, name)
}

// messages are the request and the response of one method, each around its envelope.
type messages struct {
	request, response protoreflect.MessageType
}

// messagesOf finds the generated code of a web exchange's messages.
func messagesOf(m *contract.Method) (messages, error) {
	if !m.Exchange || m.Route == nil {
		return messages{}, fmt.Errorf("%s is no web exchange", m.FullName)
	}
	request, err := protoregistry.GlobalTypes.FindMessageByName(m.Descriptor.Input().FullName())
	if err != nil {
		return messages{}, fmt.Errorf("request of %s: %w", m.FullName, err)
	}
	response, err := protoregistry.GlobalTypes.FindMessageByName(m.Descriptor.Output().FullName())
	if err != nil {
		return messages{}, fmt.Errorf("response of %s: %w", m.FullName, err)
	}
	return messages{request, response}, nil
}

// around returns a new message whose only field is the envelope.
func around(kind protoreflect.MessageType, envelope proto.Message) proto.Message {
	m := kind.New()
	m.Set(kind.Descriptor().Fields().Get(0), protoreflect.ValueOfMessage(envelope.ProtoReflect()))
	return m.Interface()
}

// inside returns the envelope in a message; an empty one where there is none.
func inside[E proto.Message](m proto.Message) (E, error) {
	reflected := m.ProtoReflect()
	envelope, ok := reflected.Get(reflected.Descriptor().Fields().Get(0)).Message().Interface().(E)
	if !ok {
		return envelope, fmt.Errorf("%s is no envelope", reflected.Descriptor().FullName())
	}
	return envelope, nil
}

// field returns a header field of an envelope.
func field(name, value string) *webv1.Header {
	return &webv1.Header{Name: name, Value: []byte(value)}
}
