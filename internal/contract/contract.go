// Package contract reads what the protos say about programs and methods (proto/gatehouse/options/v1) into plain Go values.
//
// It is the only reader of the options: the generator (cmd/protoc-gen-gatehouse), the gRPC server's interceptors, the gateway and
// the mesh tools all see the contract through it. It imports no service.
package contract

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// EveryService is the word of consent for any program that declares the call.
const EveryService = "every_service"

// DefaultTimeout bounds a call whose method names no timeout; MaxTimeout bounds every call that is not long_lived.
const (
	DefaultTimeout = 10 * time.Second
	MaxTimeout     = 30 * time.Second
)

// DefaultRate and DefaultStreams are what one program may use of a method that says nothing else.
const (
	DefaultRate    = 2000 // calls a second; twice as many at once
	DefaultStreams = 2000 // open ones
)

// MaxMessage is how many bytes a message of any method may have, in each direction (R54).
const MaxMessage = 4 << 20

// Contract is every program and method found in a set of proto files.
type Contract struct {
	Programs []Program // sorted by port
	methods  map[string]*Method
}

// Program is one process of the mesh.
type Program struct {
	Name    string
	Port    int
	Package string   // proto package, such as "gatehouse.identity.v1"
	Calls   []string // full methods of other programs, "/package.Service/Method", as declared (not the edge's derived ones), sorted
	Needs   []string // backing services, such as "postgres", sorted
	Edge    bool

	Database      Database
	Secrets       []Secret
	ObjectTypes   []ObjectType // types that it answers for
	Relationships []Grant      // what it writes, as declared
	Reasons       []Reason     // what it answers with beyond the kernel's own, sorted

	file protoreflect.FileDescriptor // the file that declares it
}

// AccessKind is the kind of one access alternative.
type AccessKind uint8

// The access alternatives of options.proto.
const (
	Public AccessKind = iota + 1
	SignedIn
	Self
	Permission
	Service
)

// Access is one alternative under which a request is admitted.
type Access struct {
	Kind       AccessKind
	Field      string // Self, Permission
	Relation   string // Permission
	ObjectType string // Permission
	ObjectID   string // Permission: the one object that is asked about, instead of Field
}

// Duty is what a method does for all programs.
type Duty uint8

// The duties of options.proto.
const (
	Decision      Duty = iota + 1 // answers permissions
	Relationships                 // takes the relationships that programs declare
)

// Route is the public HTTP route of a method.
type Route struct {
	Verb string // "GET", "POST", "PATCH", …
	Path string // template, such as "/api/v1/users/{user.id}"
	Body string // request field that the body fills; "*" for all, empty for none
}

// Audit is what the trail records about a method.
type Audit struct {
	None             bool
	Trail            bool // stores the events of others
	Action           string
	ObjectType       string
	Object           string   // path of the field that names the object, in the request or, after "response.", in the response
	Secret, Personal []string // field paths; Secret includes the debug_redact fields
}

// Rate is what one program may use of a method, on each instance.
type Rate struct {
	PerSecond, Burst int // calls in the long run, and at once
	Streams          int // open ones; 0 for a method that is not streaming
}

// Method is one RPC with its policy.
type Method struct {
	FullName     string // "/gatehouse.identity.v1.UserService/GetUser", as gRPC and Envoy spell it
	Program      string // mesh name of the program that serves it; empty when its package declares none
	Access       []Access
	Allow        []string // further consenting callers by name; without EveryService
	EveryService bool
	Route        *Route
	LongLived    bool
	Timeout      time.Duration // 0 when LongLived
	HTTPStatus   int           // 200 unless said otherwise
	Accepted     bool          // an empty answer is 202 instead
	Audit        Audit
	IDs          []string // paths of the request fields that hold an id, sorted
	ReadOnly     bool     // idempotency_level = NO_SIDE_EFFECTS
	Idempotent   bool     // NO_SIDE_EFFECTS or IDEMPOTENT
	Duty         Duty
	Rate         Rate     // of one program
	Noun         string   // of an object that cannot be named, such as "user"; empty where no refusal needs one
	Reasons      []string // what it states of its refusals, in the order of the contract; Refusals has all
	Exchange     bool     // a web exchange: served as HTTP (proto/gatehouse/web/v1)
	Visitors     Visitors
	FreshSignIn  bool // the person's authentication may not be older than token.FreshFor
	Descriptor   protoreflect.MethodDescriptor

	stated bool // the method carries the method option
}

// Method returns the policy of a full method name ("/package.Service/Method").
func (c *Contract) Method(fullName string) (*Method, bool) {
	m, ok := c.methods[fullName]
	return m, ok
}

// Methods returns every method, sorted by full name.
func (c *Contract) Methods() []*Method {
	all := make([]*Method, 0, len(c.methods))
	for _, m := range c.methods {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *Method) int { return strings.Compare(a.FullName, b.FullName) })
	return all
}

// File is the path of the proto file that declares the program.
func (p Program) File() string { return p.file.Path() }

// Program returns the program of a mesh name.
func (c *Contract) Program(name string) (Program, bool) {
	for _, p := range c.Programs {
		if p.Name == name {
			return p, true
		}
	}
	return Program{}, false
}

// Consents reports whether the callee consents to a call by a program: the edge for routed methods,
// everybody for every_service, else the programs it names. Consent alone admits nobody: that
// program must also declare the call, and mesh.Derive makes the one list of both that sidecars and
// services follow.
func (m *Method) Consents(p Program) bool {
	return m.EveryService || (m.Route != nil && p.Edge) || slices.Contains(m.Allow, p.Name)
}

// Has reports whether any access alternative is of the kind.
func (m *Method) Has(kind AccessKind) bool {
	for _, a := range m.Access {
		if a.Kind == kind {
			return true
		}
	}
	return false
}
