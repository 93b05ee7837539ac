package contract

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// maxRate is the most that a rate may say: more calls a second, or open streams, than an instance
// has served.
const maxRate = 100_000

// method checks what a method says about itself.
func (k *checker) method(m *Method) {
	if !m.stated {
		k.report(at(m.Descriptor), "%s has no policy: add option (gatehouse.options.v1.method)", m.display())
		return
	}
	options, _ := extension[*optionsv1.Method](m.Descriptor.Options(), optionsv1.E_Method)
	k.access(m, options)
	k.noun(m)
	k.freshness(m)
	k.audit(m, options.GetAudit())
	k.deadline(m, options)
	k.rate(m, options.GetRate())
	k.bounds(m.Descriptor.Input())
}

func (k *checker) access(m *Method, options *optionsv1.Method) {
	if len(options.GetAccess()) == 0 {
		k.report(in(m.Descriptor), "%s does not say who may call it: add access", m.display())
		return
	}
	for i, alternative := range options.GetAccess() {
		where := in(m.Descriptor, methodAccess, int32(i))
		a := loadAccess(alternative)
		switch {
		case a.Kind == 0:
			k.report(where, "this access of %s admits nobody: say true, or remove it", m.display())
			continue
		case (a.Kind == Public || a.Kind == Service) && len(options.GetAccess()) > 1:
			k.report(where, "public and service stand alone: remove the other access of %s, or this one", m.display())
		case slices.ContainsFunc(options.GetAccess()[:i], func(b *optionsv1.Access) bool { return loadAccess(b) == a }):
			k.report(where, "%s says the same access twice: remove one", m.display())
		}
		switch a.Kind {
		case Self:
			k.stringField(in(m.Descriptor, methodAccess, int32(i), accessSelf, selfField), m.Descriptor.Input(), a.Field)
		case Permission:
			if a.Relation == "" || a.ObjectType == "" {
				k.report(where, "a permission of %s needs relation and object_type", m.display())
			}
			k.permissionObject(m, a, in(m.Descriptor, methodAccess, int32(i), accessPermission, relationField))
		case Public, SignedIn, Service:
		}
	}
	switch service := m.Has(Service); {
	case service && m.Route != nil:
		k.report(inOption(m.Descriptor, httpNumber), "%s is for services only: remove its route, or its access service", m.display())
	case service && len(m.Allow) == 0 && !m.EveryService:
		k.report(in(m.Descriptor), "%s is for services only but consents to none: add allow", m.display())
	case !service && m.Route == nil:
		k.report(in(m.Descriptor, methodAccess), "%s is for people but has no route: add google.api.http, or say access service", m.display())
	}
}

// permissionObject checks that a permission says about which object it asks, in one way.
func (k *checker) permissionObject(m *Method, a Access, where Position) {
	switch {
	case a.Field != "" && a.ObjectID != "":
		k.report(where, "a permission of %s names its object twice: keep field or object_id", m.display())
	case a.Field == "" && a.ObjectID == "":
		k.report(where, "a permission of %s names no object: add field or object_id", m.display())
	case a.Field != "":
		k.stringField(where, m.Descriptor.Input(), a.Field)
	}
}

// noun checks that a method says what it is about where a refusal may have no object type to name,
// and only there.
func (k *checker) noun(m *Method) {
	switch needed := m.needsNoun(); {
	case needed && m.Noun == "":
		k.report(in(m.Descriptor), "%s may be refused without an object to name: add noun, such as user for USER_NOT_FOUND", m.display())
	case !needed && m.Noun != "":
		k.report(in(m.Descriptor, methodNoun), "no refusal of %s names the noun: remove it", m.display())
	case needed && !typeForm.MatchString(m.Noun):
		k.report(in(m.Descriptor, methodNoun), "%q is not a noun: write lower-case words joined by underscores, such as service_account", m.Noun)
	}
}

// freshness checks that a fresh sign-in is asked of people, and once.
func (k *checker) freshness(m *Method) {
	where := in(m.Descriptor, methodFreshSignIn)
	switch {
	case !m.FreshSignIn:
	case m.Has(Public), m.Has(Service):
		k.report(where, "%s reads no token, so no sign-in of it is fresh: remove fresh_sign_in", m.display())
	case m.Descriptor.IsStreamingClient(), m.Descriptor.IsStreamingServer():
		k.report(where, "%s is a stream, which outlasts a fresh sign-in: remove fresh_sign_in", m.display())
	}
}

// needsNoun reports whether a refusal may have neither an object of a permission nor a fixed one:
// the request left the field empty, or the method admits oneself only.
func (m *Method) needsNoun() bool {
	fixed := slices.ContainsFunc(m.Access, func(a Access) bool { return a.Kind == Permission && a.ObjectID != "" })
	return !fixed && (m.Has(Self) || m.Has(Permission))
}

func (k *checker) audit(m *Method, options *optionsv1.Audit) {
	where := in(m.Descriptor, methodAudit)
	event := options.GetEvent()
	switch {
	case options.GetTrail() && !m.Has(Service):
		k.report(where, "%s stores events of others and may be called by programs only: say access service", m.display())
		return
	case options.GetTrail():
		return
	case event == nil && !options.GetNone():
		k.report(where, "%s does not say what is audited: add audit with an event, or none: true if it changes nothing", m.display())
		return
	case event == nil && !m.ReadOnly:
		k.report(where, "%s changes something and must be audited: add an event, or say idempotency_level = NO_SIDE_EFFECTS", m.display())
		return
	case event == nil:
		return
	}
	inEvent := func(part ...int32) Position {
		return in(m.Descriptor, append([]int32{methodAudit, auditEvent}, part...)...)
	}
	if !actionForm.MatchString(event.GetAction()) {
		k.report(inEvent(eventAction), "%q is not an action of %s: write it as object.happened, such as user.updated", event.GetAction(), m.display())
	}
	if object := event.GetObject(); object != "" { // absent when only the token names the object, as at sign-out
		message := m.Descriptor.Input()
		if rest, ok := strings.CutPrefix(object, "response."); ok {
			message, object = m.Descriptor.Output(), rest
		}
		k.stringField(inEvent(eventObject), message, object)
	}
	for i, path := range event.GetSecret() {
		k.field(inEvent(eventSecret, int32(i)), m.Descriptor.Input(), path)
	}
	for i, path := range event.GetPersonal() {
		k.field(inEvent(eventPersonal, int32(i)), m.Descriptor.Input(), path)
	}
}

// deadline checks that a call ends: by its timeout, or, for a stream that says so, by its client, token or drain.
func (k *checker) deadline(m *Method, options *optionsv1.Method) {
	streaming := m.Descriptor.IsStreamingClient() || m.Descriptor.IsStreamingServer()
	if m.LongLived && !streaming {
		k.report(in(m.Descriptor, methodLongLived), "%s is not a stream: remove long_lived", m.display())
	}
	if options.GetTimeout() == nil {
		return
	}
	where := in(m.Descriptor, methodTimeout)
	switch d := options.GetTimeout().AsDuration(); {
	case m.LongLived:
		k.report(where, "%s is long_lived and has a timeout: remove one of them", m.display())
	case d <= 0 || d > MaxTimeout:
		k.report(where, "timeout %s of %s is out of bounds: more than 0 s, at most %d s", d, m.display(), MaxTimeout/time.Second)
	}
}

// rate checks that what is said of a method's use bounds it, and says nothing that has no meaning.
func (k *checker) rate(m *Method, options *optionsv1.Rate) {
	switch where := in(m.Descriptor, methodRate); {
	case options == nil:
	case proto.Size(options) == 0:
		k.report(where, "rate of %s says nothing: add per_second, burst or streams, or remove it", m.display())
	case max(options.GetPerSecond(), options.GetBurst(), options.GetStreams()) > maxRate:
		k.report(where, "rate of %s bounds nothing: say at most %d", m.display(), maxRate)
	case options.GetStreams() > 0 && m.Rate.Streams == 0:
		k.report(where, "%s is not a stream: remove streams from its rate", m.display())
	}
}

// route checks the public side of a method; seen holds the routes so far.
func (k *checker) route(m *Method, seen map[string]*Method) {
	options, _ := extension[*optionsv1.Method](m.Descriptor.Options(), optionsv1.E_Method)
	if m.Route == nil {
		if options.GetHttpStatus() != 0 {
			k.report(in(m.Descriptor, methodHTTPStatus), "%s has no route: remove http_status", m.display())
		}
		if options.GetAccepted() {
			k.report(in(m.Descriptor, methodAccepted), "%s has no route: remove accepted", m.display())
		}
		return
	}
	where := inOption(m.Descriptor, httpNumber)
	rule, _ := extension[*annotations.HttpRule](m.Descriptor.Options(), annotations.E_Http)
	switch {
	case m.Route.Verb == "" || !strings.HasPrefix(m.Route.Path, "/"):
		k.report(where, "the route of %s needs a verb and a path that starts with /", m.display())
	case len(rule.GetAdditionalBindings()) > 0:
		k.report(where, "%s has more than one route: keep one, so that one line says where it is reached", m.display())
	case m.Route.Verb == "GET" && !m.ReadOnly && !(m.Exchange && m.Idempotent): // a browser gets anywhere by GET, to sign out too
		k.report(where, "GET is for methods without side effects: say idempotency_level = NO_SIDE_EFFECTS in %s, or choose another verb", m.display())
	}
	key := m.Route.Verb + " " + template.ReplaceAllString(m.Route.Path, "{}")
	if other, taken := seen[key]; taken {
		k.report(where, "%s %s is the route of %s at %s already: choose another", m.Route.Verb, m.Route.Path, other.display(), inOption(other.Descriptor, httpNumber))
	}
	seen[key] = m
	k.status(m)
}

func (k *checker) status(m *Method) {
	where := in(m.Descriptor, methodHTTPStatus)
	empty := m.Descriptor.Output().Fields().Len() == 0
	switch {
	case !slices.Contains([]int{200, 201, 202, 204}, m.HTTPStatus):
		k.report(where, "http_status %d of %s is not a success: choose 200, 201, 202 or 204", m.HTTPStatus, m.display())
	case m.HTTPStatus == 204 && !empty:
		k.report(where, "http_status 204 has no body, but %s has fields: choose another status or empty the response", m.Descriptor.Output().Name())
	}
	if m.Accepted && (empty || m.HTTPStatus > 201 || m.Exchange || m.Descriptor.IsStreamingServer()) {
		k.report(in(m.Descriptor, methodAccepted), "accepted makes an empty answer of %s 202: say it of one answer with fields, whose http_status is 200 or 201", m.display())
	}
}

// consent checks the callee's side: who is named must exist and must call.
func (k *checker) consent(m *Method) {
	options, _ := extension[*optionsv1.Method](m.Descriptor.Options(), optionsv1.E_Method)
	for i, name := range options.GetAllow() {
		where := in(m.Descriptor, methodAllow, int32(i))
		caller, known := k.contract.Program(name)
		switch {
		case slices.Contains(options.GetAllow()[:i], name):
			k.report(where, "%s allows %q twice: remove one", m.display(), name)
		case name == EveryService && len(options.GetAllow()) > 1:
			k.report(where, "every_service stands alone: remove the other names from allow of %s", m.display())
		case name == EveryService:
		case !known:
			k.report(where, "%s allows %q, which is not a program: correct the name, or write every_service", m.display(), name)
		case name == m.Program:
			k.report(where, "%s allows itself: remove %q", m.display(), name)
		case caller.Edge && m.Route != nil:
			k.report(where, "the route of %s consents to %s already: remove it from allow", m.display(), name)
		case !slices.Contains(caller.Calls, m.FullName):
			k.report(where, "%s allows %q, which does not call it: add %q to calls at %s, or remove the consent",
				m.display(), name, m.display(), inFile(caller.file, programCalls))
		}
	}
}

// stringField reports a path that does not lead to one string.
func (k *checker) stringField(where Position, message protoreflect.MessageDescriptor, path string) {
	field := k.field(where, message, path)
	if field != nil && (field.Kind() != protoreflect.StringKind || field.Cardinality() == protoreflect.Repeated) {
		k.report(where, "%s of %s is not a string: name the field that holds the id", path, message.Name())
	}
}

// field returns the field at a dotted path, or reports that there is none.
func (k *checker) field(where Position, message protoreflect.MessageDescriptor, path string) protoreflect.FieldDescriptor {
	var field protoreflect.FieldDescriptor
	inner := message
	for name := range strings.SplitSeq(path, ".") {
		if inner != nil {
			field = inner.Fields().ByName(protoreflect.Name(name))
		}
		if inner == nil || field == nil {
			k.report(where, "%s has no field %q: correct the path", message.Name(), path)
			return nil
		}
		inner = field.Message()
	}
	return field
}
