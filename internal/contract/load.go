package contract

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// Files is a set of proto files: protoregistry.GlobalFiles in a running program, the request's files in the generator.
type Files interface {
	RangeFiles(f func(protoreflect.FileDescriptor) bool)
}

// Load reads the contract of every program and method among the files.
//
// It is lenient, because a running program only sees the files it links and must not refuse to start over another program's
// contract: what a method does not say is absent (no access admits nobody), and bounds are applied rather than reported. Check
// reports what Load lets pass. The error is for files that declare one program or one method twice, which no reader could resolve.
func Load(files Files) (*Contract, error) {
	c := &Contract{methods: map[string]*Method{}}
	byPackage, err := c.loadPrograms(files)
	if err != nil {
		return nil, err
	}
	for _, file := range sortedFiles(files) {
		program, served := byPackage[file.Package()]
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := loadMethod(methods.Get(j), program)
				if !served && !m.stated {
					continue // another project's service, such as grpc.health.v1.Health
				}
				c.methods[m.FullName] = m
			}
		}
	}
	c.deriveReasons()
	return c, nil
}

// loadPrograms fills c.Programs and returns the name of the program by proto package.
func (c *Contract) loadPrograms(files Files) (map[protoreflect.FullName]string, error) {
	byPackage := map[protoreflect.FullName]string{}
	for _, file := range sortedFiles(files) {
		options, stated := extension[*optionsv1.Program](file.Options(), optionsv1.E_Program)
		if !stated {
			continue
		}
		if other, twice := byPackage[file.Package()]; twice {
			return nil, fmt.Errorf("%s: package %s declares a second program %q besides %q: keep one", inFile(file), file.Package(), options.GetName(), other)
		}
		byPackage[file.Package()] = options.GetName()
		c.Programs = append(c.Programs, loadProgram(file, options))
	}
	slices.SortStableFunc(c.Programs, func(a, b Program) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Name, b.Name))
	})
	return byPackage, nil
}

func loadProgram(file protoreflect.FileDescriptor, options *optionsv1.Program) Program {
	p := Program{
		Name:    options.GetName(),
		Port:    int(options.GetPort()),
		Package: string(file.Package()),
		Edge:    options.GetEdge(),
		file:    file,
	}
	for _, call := range options.GetCalls() {
		p.Calls = append(p.Calls, "/"+strings.TrimPrefix(call, "/"))
	}
	for _, need := range options.GetNeeds() {
		p.Needs = append(p.Needs, backingName(need))
	}
	p.Database = loadDatabase(options.GetDatabase())
	p.Secrets = loadSecrets(options.GetSecrets())
	p.ObjectTypes = loadObjectTypes(options.GetObjectTypes())
	p.Relationships = loadRelationships(p.Name, options.GetRelationships())
	p.Reasons = loadReasons(options.GetReasons())
	slices.Sort(p.Calls)
	slices.Sort(p.Needs)
	return p
}

// backingName is the mesh name of a backing service: BACKING_POSTGRES is "postgres".
func backingName(b optionsv1.Backing) string {
	return strings.ToLower(strings.TrimPrefix(b.String(), "BACKING_"))
}

func loadMethod(d protoreflect.MethodDescriptor, program string) *Method {
	options, stated := extension[*optionsv1.Method](d.Options(), optionsv1.E_Method)
	m := &Method{
		FullName:    fmt.Sprintf("/%s/%s", d.Parent().FullName(), d.Name()),
		Program:     program,
		Route:       loadRoute(d),
		LongLived:   options.GetLongLived(),
		Timeout:     timeout(options),
		HTTPStatus:  int(cmp.Or(options.GetHttpStatus(), 200)),
		Accepted:    options.GetAccepted(),
		Audit:       loadAudit(d, options.GetAudit()),
		Duty:        Duty(options.GetDuty()), //nolint:gosec // an enumeration of few
		Rate:        loadRate(d, options.GetRate()),
		Noun:        options.GetNoun(),
		Reasons:     options.GetReasons(),
		Exchange:    isExchange(d),
		Visitors:    Visitors(options.GetVisitors()), //nolint:gosec // an enumeration of few
		FreshSignIn: options.GetFreshSignIn(),
		Descriptor:  d,
		stated:      stated,
	}
	for _, access := range options.GetAccess() {
		if a := loadAccess(access); a.Kind != 0 {
			m.Access = append(m.Access, a)
		}
	}
	for _, name := range options.GetAllow() {
		if name == EveryService {
			m.EveryService = true
			continue
		}
		m.Allow = append(m.Allow, name)
	}
	if o, ok := d.Options().(*descriptorpb.MethodOptions); ok {
		level := o.GetIdempotencyLevel()
		m.ReadOnly = level == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		m.Idempotent = m.ReadOnly || level == descriptorpb.MethodOptions_IDEMPOTENT
	}
	m.IDs = loadIDs(m)
	return m
}

func timeout(options *optionsv1.Method) time.Duration {
	switch {
	case options.GetLongLived():
		return 0
	case options.GetTimeout() == nil:
		return DefaultTimeout
	}
	if d := options.GetTimeout().AsDuration(); d > 0 {
		return min(d, MaxTimeout)
	}
	return DefaultTimeout
}

func loadRate(d protoreflect.MethodDescriptor, options *optionsv1.Rate) Rate {
	r := Rate{PerSecond: int(cmp.Or(options.GetPerSecond(), DefaultRate))}
	r.Burst = cmp.Or(int(options.GetBurst()), 2*r.PerSecond)
	if d.IsStreamingClient() || d.IsStreamingServer() {
		r.Streams = int(cmp.Or(options.GetStreams(), DefaultStreams))
	}
	return r
}

// loadAccess reads one alternative; Kind is 0 when it admits nobody (an empty alternative, or "public: false").
func loadAccess(access *optionsv1.Access) Access {
	switch rule := access.GetRule().(type) {
	case *optionsv1.Access_Public:
		return flag(Public, rule.Public)
	case *optionsv1.Access_SignedIn:
		return flag(SignedIn, rule.SignedIn)
	case *optionsv1.Access_Service:
		return flag(Service, rule.Service)
	case *optionsv1.Access_Self:
		return Access{Kind: Self, Field: rule.Self.GetField()}
	case *optionsv1.Access_Permission:
		return Access{
			Kind:       Permission,
			Field:      rule.Permission.GetField(),
			Relation:   rule.Permission.GetRelation(),
			ObjectType: rule.Permission.GetObjectType(),
			ObjectID:   rule.Permission.GetObjectId(),
		}
	}
	return Access{}
}

func flag(kind AccessKind, on bool) Access {
	if !on {
		return Access{}
	}
	return Access{Kind: kind}
}

func loadRoute(d protoreflect.MethodDescriptor) *Route {
	rule, stated := extension[*annotations.HttpRule](d.Options(), annotations.E_Http)
	if !stated {
		return nil
	}
	route := &Route{Body: rule.GetBody()}
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		route.Verb, route.Path = "GET", pattern.Get
	case *annotations.HttpRule_Put:
		route.Verb, route.Path = "PUT", pattern.Put
	case *annotations.HttpRule_Post:
		route.Verb, route.Path = "POST", pattern.Post
	case *annotations.HttpRule_Delete:
		route.Verb, route.Path = "DELETE", pattern.Delete
	case *annotations.HttpRule_Patch:
		route.Verb, route.Path = "PATCH", pattern.Patch
	case *annotations.HttpRule_Custom:
		route.Verb, route.Path = pattern.Custom.GetKind(), pattern.Custom.GetPath()
	}
	return route
}

func loadAudit(d protoreflect.MethodDescriptor, options *optionsv1.Audit) Audit {
	event := options.GetEvent()
	audit := Audit{
		None:       options.GetNone(),
		Trail:      options.GetTrail(),
		Action:     event.GetAction(),
		ObjectType: event.GetObjectType(),
		Object:     event.GetObject(),
		Secret:     append(slices.Clone(event.GetSecret()), redacted(d.Input(), "", nil)...),
		Personal:   slices.Clone(event.GetPersonal()),
	}
	if isExchange(d) { // what people type and clients prove is in it
		audit.Secret = append(audit.Secret, exchangeField)
	}
	slices.Sort(audit.Secret)
	audit.Secret = slices.Compact(audit.Secret)
	return audit
}

// redacted lists the paths of the debug_redact fields of a message and of the messages inside it; above guards against recursion.
func redacted(d protoreflect.MessageDescriptor, prefix string, above []protoreflect.FullName) []string {
	if slices.Contains(above, d.FullName()) {
		return nil
	}
	above = append(slices.Clone(above), d.FullName())
	var paths []string
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		path := prefix + string(field.Name())
		if o, ok := field.Options().(*descriptorpb.FieldOptions); ok && o.GetDebugRedact() {
			paths = append(paths, path)
			continue
		}
		if inner := field.Message(); inner != nil {
			paths = append(paths, redacted(inner, path+".", above)...)
		}
	}
	return paths
}

// extension reads an option; stated is false when it is absent.
func extension[T proto.Message](options proto.Message, kind protoreflect.ExtensionType) (value T, stated bool) {
	if options == nil || !options.ProtoReflect().IsValid() || !proto.HasExtension(options, kind) {
		return value, false
	}
	value, stated = proto.GetExtension(options, kind).(T)
	return value, stated
}

func sortedFiles(files Files) []protoreflect.FileDescriptor {
	var all []protoreflect.FileDescriptor
	files.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		all = append(all, f)
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.FileDescriptor) int { return strings.Compare(a.Path(), b.Path()) })
	return all
}
