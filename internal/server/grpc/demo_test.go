package grpcserver_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

const (
	demoService = "gatehouse.demo.v1.DemoService"
	demoPath    = "/" + demoService + "/"
)

// demo is a program whose contract uses the whole vocabulary: one method for each kind of access, unary, streaming and long-lived.
type demo struct {
	file     protoreflect.FileDescriptor
	contract *contract.Contract

	// What the unary methods and the streams do; nil answers with the request.
	unary  func(ctx context.Context, in *message) (*message, error)
	stream func(s grpc.ServerStream) error
}

// message is DemoMessage{string id; DemoUser{string id} user; string text (at most 5 characters)}.
type message = dynamicpb.Message

func alternatives(rules ...*optionsv1.Access) []*optionsv1.Access { return rules }

func self(field string) *optionsv1.Access {
	return &optionsv1.Access{Rule: &optionsv1.Access_Self{Self: &optionsv1.Self{Field: field}}}
}

func permission() *optionsv1.Access {
	return &optionsv1.Access{Rule: &optionsv1.Access_Permission{Permission: &optionsv1.Permission{Relation: "can_read", ObjectType: "user", Field: "id"}}}
}

func platformPermission() *optionsv1.Access {
	return &optionsv1.Access{Rule: &optionsv1.Access_Permission{Permission: &optionsv1.Permission{Relation: "can_manage", ObjectType: "platform", ObjectId: "gatehouse"}}}
}

func eventOf(e *optionsv1.AuditEvent) *optionsv1.Audit {
	return &optionsv1.Audit{Record: &optionsv1.Audit_Event{Event: e}}
}

func newDemo(t testing.TB) *demo {
	t.Helper()
	public := &optionsv1.Access{Rule: &optionsv1.Access_Public{Public: true}}
	signedIn := &optionsv1.Access{Rule: &optionsv1.Access_SignedIn{SignedIn: true}}
	service := &optionsv1.Access{Rule: &optionsv1.Access_Service{Service: true}}
	edge := []string{"gateway"}
	d := &demo{}
	d.file = demoFile(t, []demoMethod{
		{name: "Public", policy: &optionsv1.Method{Access: alternatives(public), Allow: edge}},
		{name: "SignedIn", policy: &optionsv1.Method{Access: alternatives(signedIn), Allow: edge}},
		{name: "FreshSignIn", policy: &optionsv1.Method{Access: alternatives(signedIn), Allow: edge, FreshSignIn: true}},
		{name: "FreshPlatform", policy: &optionsv1.Method{Access: alternatives(platformPermission()), Allow: edge, FreshSignIn: true}},
		{name: "GetUser", policy: &optionsv1.Method{Access: alternatives(self("id")), Allow: edge, Noun: "user"}},
		{name: "Nested", policy: &optionsv1.Method{Access: alternatives(self("user.id")), Allow: edge, Noun: "user"}},
		{name: "SelfOrPermission", policy: &optionsv1.Method{Access: alternatives(self("id"), permission()), Allow: edge, Noun: "user"}},
		{name: "Permission", policy: &optionsv1.Method{Access: alternatives(permission()), Allow: edge}},
		{name: "Platform", policy: &optionsv1.Method{Access: alternatives(platformPermission()), Allow: edge}},
		{name: "PermissionOrPlatform", policy: &optionsv1.Method{Access: alternatives(permission(), platformPermission()), Allow: edge}},
		{name: "Change", policy: &optionsv1.Method{Access: alternatives(self("id"), permission()), Allow: edge, Audit: eventOf(&optionsv1.AuditEvent{
			Action: "demo.changed", ObjectType: "demo", Object: "id", Personal: []string{"text"},
		})}},
		{name: "ChangeFromAnywhere", policy: &optionsv1.Method{Access: alternatives(self("id")), Allow: []string{"gateway", "worker"}, Audit: eventOf(&optionsv1.AuditEvent{
			Action: "demo.changed", ObjectType: "demo", Object: "id",
		})}},
		{name: "Login", policy: &optionsv1.Method{Access: alternatives(public), Allow: edge, Audit: eventOf(&optionsv1.AuditEvent{
			Action: "demo.logged_in", ObjectType: "user", Secret: []string{"user.id"}, Personal: []string{"text"},
		})}},
		{name: "ChangeByService", policy: &optionsv1.Method{Access: alternatives(service), Allow: []string{"worker"}, Audit: eventOf(&optionsv1.AuditEvent{Action: "demo.worked"})}},
		{name: "Service", policy: &optionsv1.Method{Access: alternatives(service), Allow: []string{"worker"}}},
		{name: "EveryService", policy: &optionsv1.Method{Access: alternatives(service), Allow: []string{"every_service"}}},
		{name: "Undeclared", policy: &optionsv1.Method{Access: alternatives(service), Allow: []string{"every_service"}}},
		{name: "NoAccess", policy: &optionsv1.Method{Allow: edge}},
		{name: "Short", policy: &optionsv1.Method{Access: alternatives(public), Allow: edge, Timeout: durationpb.New(2 * time.Second)}},
		{name: "Rare", policy: &optionsv1.Method{Access: alternatives(public), Allow: []string{"gateway", "worker"}, Rate: &optionsv1.Rate{PerSecond: 1, Burst: 2}}},
		{name: "Few", stream: true, policy: &optionsv1.Method{Access: alternatives(service), Allow: []string{"every_service"}, LongLived: true, Rate: &optionsv1.Rate{Streams: 1}}},
		{name: "Chat", stream: true, policy: &optionsv1.Method{Access: alternatives(self("id")), Allow: edge, LongLived: true}},
		{name: "Follow", stream: true, policy: &optionsv1.Method{Access: alternatives(self("user.id"), permission()), Allow: edge, LongLived: true, Noun: "user"}},
		{name: "Ingest", stream: true, policy: &optionsv1.Method{
			Access: alternatives(service), Allow: []string{"every_service"}, LongLived: true, Audit: &optionsv1.Audit{Record: &optionsv1.Audit_Trail{Trail: true}},
		}},
		{name: "Import", stream: true, policy: &optionsv1.Method{Access: alternatives(self("user.id"), permission()), Allow: edge, Noun: "user", Timeout: durationpb.New(20 * time.Second)}},
		{name: "Watch", stream: true, policy: &optionsv1.Method{Access: alternatives(service), Allow: []string{"every_service"}, LongLived: true}},
	})
	callers := files{d.file}
	for i, name := range []string{"gateway", "worker", "stranger"} {
		callers = append(callers, callerFile(t, name, uint32(8091+i), d.file))
	}
	var err error
	if d.contract, err = contract.Load(callers); err != nil {
		t.Fatalf("load contract: %v", err)
	}
	return d
}

type files []protoreflect.FileDescriptor

func (f files) RangeFiles(yield func(protoreflect.FileDescriptor) bool) {
	for _, file := range f {
		if !yield(file) {
			return
		}
	}
}

type demoMethod struct {
	name   string
	stream bool
	policy *optionsv1.Method
}

func demoFile(t testing.TB, methods []demoMethod) protoreflect.FileDescriptor {
	t.Helper()
	fileOptions := &descriptorpb.FileOptions{}
	proto.SetExtension(fileOptions, optionsv1.E_Program, &optionsv1.Program{Name: "demo", Port: 8090})
	textRules := &descriptorpb.FieldOptions{}
	proto.SetExtension(textRules, validate.E_Field, &validate.FieldRules{Type: &validate.FieldRules_String_{String_: &validate.StringRules{MaxLen: proto.Uint64(5)}}})
	text := descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	one := descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	service := &descriptorpb.ServiceDescriptorProto{Name: proto.String("DemoService")}
	for _, m := range methods {
		options := &descriptorpb.MethodOptions{}
		proto.SetExtension(options, optionsv1.E_Method, m.policy)
		service.Method = append(service.Method, &descriptorpb.MethodDescriptorProto{
			Name: proto.String(m.name), InputType: proto.String(".gatehouse.demo.v1.DemoMessage"), OutputType: proto.String(".gatehouse.demo.v1.DemoMessage"),
			ClientStreaming: proto.Bool(m.stream), ServerStreaming: proto.Bool(m.stream), Options: options,
		})
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("gatehouse/demo/v1/demo.proto"), Package: proto.String("gatehouse.demo.v1"), Syntax: proto.String("proto3"), Options: fileOptions,
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("DemoUser"), Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("id"), Number: proto.Int32(1), Type: text, Label: one}}},
			{Name: proto.String("DemoMessage"), Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("id"), Number: proto.Int32(1), Type: text, Label: one},
				{Name: proto.String("user"), Number: proto.Int32(2), Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), TypeName: proto.String(".gatehouse.demo.v1.DemoUser"), Label: one},
				{Name: proto.String("text"), Number: proto.Int32(3), Type: text, Label: one, Options: textRules},
			}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{service},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatalf("build demo contract: %v", err)
	}
	return file
}

// callerFile is a program that declares every call that it is allowed to make, but that of
// Undeclared.
func callerFile(t testing.TB, name string, port uint32, callee protoreflect.FileDescriptor) protoreflect.FileDescriptor {
	t.Helper()
	linked, err := contract.Load(files{callee})
	if err != nil {
		t.Fatal(err)
	}
	program := &optionsv1.Program{Name: name, Port: port, Edge: name == "gateway"}
	for _, m := range linked.Methods() {
		if m.Consents(contract.Program{Name: name}) && m.FullName != demoPath+"Undeclared" {
			program.Calls = append(program.Calls, strings.TrimPrefix(m.FullName, "/"))
		}
	}
	options := &descriptorpb.FileOptions{}
	proto.SetExtension(options, optionsv1.E_Program, program)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("gatehouse/" + name + "/v1/demo.proto"), Package: proto.String("gatehouse." + name + ".v1"), Syntax: proto.String("proto3"), Options: options,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// message makes a DemoMessage from "field", "value" pairs; "user.id" is the nested field.
func (d *demo) message(pairs ...string) *message {
	m := dynamicpb.NewMessage(d.file.Messages().ByName("DemoMessage"))
	for i := 0; i < len(pairs); i += 2 {
		into, name := protoreflect.Message(m), pairs[i]
		if name == "user.id" {
			into, name = m.Mutable(m.Descriptor().Fields().ByName("user")).Message(), "id"
		}
		into.Set(into.Descriptor().Fields().ByName(protoreflect.Name(name)), protoreflect.ValueOfString(pairs[i+1]))
	}
	return m
}

// registration serves every method of the demo.
func (d *demo) registration() grpcserver.Registration {
	desc := &grpc.ServiceDesc{ServiceName: demoService, HandlerType: (*any)(nil)}
	methods := d.file.Services().Get(0).Methods()
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		if name == "NoAccess" {
			continue // refused when the server is made; a test of its own registers it
		}
		if methods.Get(i).IsStreamingServer() {
			desc.Streams = append(desc.Streams, grpc.StreamDesc{
				StreamName: name, ClientStreams: true, ServerStreams: true,
				Handler: func(_ any, s grpc.ServerStream) error { return d.stream(s) },
			})
			continue
		}
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: d.handler(name)})
	}
	return grpcserver.Registration{Desc: desc, Impl: d}
}

func (d *demo) handler(name string) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := d.message()
		if err := decode(in); err != nil {
			return nil, err
		}
		handle := func(ctx context.Context, req any) (any, error) {
			if d.unary == nil {
				return req, nil
			}
			return d.unary(ctx, req.(*message))
		}
		if interceptor == nil {
			return handle(ctx, in)
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: demoPath + name}, handle)
	}
}

// call calls a unary method.
func (d *demo) call(ctx context.Context, conn grpc.ClientConnInterface, name string, pairs ...string) error {
	return conn.Invoke(ctx, demoPath+name, d.message(pairs...), d.message())
}

// open opens a stream.
func (d *demo) open(ctx context.Context, conn grpc.ClientConnInterface, name string) (grpc.ClientStream, error) {
	return conn.NewStream(ctx, &grpc.StreamDesc{StreamName: name, ClientStreams: true, ServerStreams: true}, demoPath+name)
}
