package service

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/fx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// heldCall is a call that a program of the contract "identity" answers when the test says so.
type heldCall struct {
	method           protoreflect.MethodDescriptor
	entered, release chan struct{}
}

func newHeldCall(t *testing.T) *heldCall {
	t.Helper()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName("gatehouse.identity.v1.UserDirectoryService.RegisterUser")
	if err != nil {
		t.Fatal(err)
	}
	return &heldCall{method: found.(protoreflect.MethodDescriptor), entered: make(chan struct{}), release: make(chan struct{})}
}

// path is the method as it is called.
func (c *heldCall) path() string {
	return "/" + string(c.method.Parent().FullName()) + "/" + string(c.method.Name())
}

// served offers the call.
func (c *heldCall) served() fx.Option {
	return fx.Options(
		fx.Provide(func() auditing.Refusals { return grpctest.NewTrail() }),
		AsRegistration(func() grpcserver.Registration {
			return grpcserver.Registration{Impl: c, Desc: &grpc.ServiceDesc{
				ServiceName: string(c.method.Parent().FullName()), HandlerType: (*any)(nil),
				Methods: []grpc.MethodDesc{{MethodName: string(c.method.Name()), Handler: c.handle}},
			}}
		}),
	)
}

func (c *heldCall) handle(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := dynamicpb.NewMessage(c.method.Input())
	if err := decode(in); err != nil {
		return nil, err
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: c.path()}, func(context.Context, any) (any, error) {
		close(c.entered)
		<-c.release
		return dynamicpb.NewMessage(c.method.Output()), nil
	})
}

// begin calls it and waits for its handler.
func (c *heldCall) begin(t *testing.T, conn grpc.ClientConnInterface) (answered <-chan error) {
	t.Helper()
	called := make(chan error, 1)
	go func() { called <- c.call(t.Context(), conn) }()
	select {
	case <-c.entered:
	case err := <-called:
		t.Fatalf("the call was not handled: %v", err)
	}
	return called
}

// call calls it as Auth does.
func (c *heldCall) call(ctx context.Context, conn grpc.ClientConnInterface) error {
	in := dynamicpb.NewMessage(c.method.Input())
	for field, value := range map[protoreflect.Name]string{"id": uuid.NewString(), "email": "ada@example.com"} {
		in.Set(in.Descriptor().Fields().ByName(field), protoreflect.ValueOfString(value))
	}
	mesh := request.Mesh{TrustDomain: options(0).Mesh.TrustDomain, Datacenter: options(0).Mesh.Datacenter}
	ctx = metadata.AppendToOutgoingContext(ctx, request.CallerHeader, mesh.SPIFFE("auth"))
	return conn.Invoke(ctx, c.path(), in, proto.Message(dynamicpb.NewMessage(c.method.Output())))
}
