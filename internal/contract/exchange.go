package contract

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// The envelope of web exchanges (proto/gatehouse/web/v1).
const (
	exchangeField    = "http"
	exchangeRequest  = "gatehouse.web.v1.Request"
	exchangeResponse = "gatehouse.web.v1.Response"
)

// APIPrefix begins the path of every route that is not a web exchange.
const APIPrefix = "/api/"

// Visitors are who comes to a web exchange.
type Visitors uint8

// The visitors of options.proto.
const (
	ByPrograms Visitors = iota + 1 // OAuth clients: errors are JSON of RFC 6749
	ByPeople                       // with a browser: errors are pages
)

// isEnvelope reports whether the one field of a message is an envelope of the kind.
func isEnvelope(d protoreflect.MessageDescriptor, kind protoreflect.FullName) bool {
	if d.Fields().Len() != 1 {
		return false
	}
	field := d.Fields().Get(0)
	return field.Name() == exchangeField && !field.IsList() && field.Message() != nil && field.Message().FullName() == kind
}

// isExchange reports whether a method is a web exchange.
func isExchange(d protoreflect.MethodDescriptor) bool {
	return isEnvelope(d.Input(), exchangeRequest) && isEnvelope(d.Output(), exchangeResponse)
}

// exchange checks what holds of web exchanges alone, and that no other method says what only they
// may. by has the visitors of each path so far.
func (k *checker) exchange(m *Method, by map[string]*Method) {
	options, _ := extension[*optionsv1.Method](m.Descriptor.Options(), optionsv1.E_Method)
	if !m.Exchange {
		k.noExchange(m, options)
		return
	}
	if m.Visitors == 0 {
		k.report(in(m.Descriptor), "%s is a web exchange and does not say who comes to it: add visitors", m.display())
	}
	if m.Descriptor.IsStreamingClient() || m.Descriptor.IsStreamingServer() {
		k.report(at(m.Descriptor), "%s is a web exchange and cannot be a stream", m.display())
	}
	if !slices.Equal(m.Access, []Access{{Kind: Public}}) {
		k.report(in(m.Descriptor, methodAccess), "%s is a web exchange, whose handler reads its credentials: say access public alone", m.display())
	}
	if options.GetHttpStatus() != 0 {
		k.report(in(m.Descriptor, methodHTTPStatus), "%s is a web exchange, whose handler says the status: remove http_status", m.display())
	}
	event := options.GetAudit().GetEvent()
	if event.GetObject() != "" || len(event.GetSecret()) > 0 || len(event.GetPersonal()) > 0 {
		k.report(in(m.Descriptor, methodAudit, auditEvent), "%s is a web exchange, whose handler completes the event: leave action and object_type in it alone", m.display())
	}
	k.exchangeRoute(m, by)
}

func (k *checker) exchangeRoute(m *Method, by map[string]*Method) {
	if m.Route == nil {
		return // access says so
	}
	where := inOption(m.Descriptor, httpNumber)
	rule, _ := extension[*annotations.HttpRule](m.Descriptor.Options(), annotations.E_Http)
	switch {
	case m.Route.Verb != "GET" && m.Route.Verb != "POST":
		k.report(where, "%s is a web exchange: its verb is GET or POST", m.display())
	case m.Route.Body != "" || rule.GetResponseBody() != "":
		k.report(where, "%s is a web exchange, whose bodies are its own: remove body and response_body", m.display())
	case strings.Contains(m.Route.Path, "{"):
		k.report(where, "%s is a web exchange: its path has no variables", m.display())
	case strings.HasPrefix(m.Route.Path, APIPrefix):
		k.report(where, "%s is a web exchange: its path does not begin with %s", m.display(), APIPrefix)
	}
	if other, taken := by[m.Route.Path]; taken && other.Visitors != m.Visitors {
		k.report(in(m.Descriptor, methodVisitors), "%s has the path of %s and other visitors: say the same", m.display(), other.display())
	}
	by[m.Route.Path] = m
}

// noExchange checks that a method which is none is not half of one, and is not in a service of
// them, whose registration makes all methods of handlers (internal/web).
func (k *checker) noExchange(m *Method, options *optionsv1.Method) {
	switch {
	case isEnvelope(m.Descriptor.Input(), exchangeRequest), isEnvelope(m.Descriptor.Output(), exchangeResponse):
		k.report(at(m.Descriptor), "%s is half a web exchange: give its request and its response one field http each, of %s and %s",
			m.display(), exchangeRequest, exchangeResponse)
		return
	case options.GetVisitors() != 0:
		k.report(in(m.Descriptor, methodVisitors), "%s is no web exchange: remove visitors", m.display())
	}
	methods := m.Descriptor.Parent().(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		if isExchange(methods.Get(i)) {
			k.report(at(m.Descriptor), "%s is no web exchange and %s is one: move one of them to another service", m.display(), methods.Get(i).Name())
			return
		}
	}
}
