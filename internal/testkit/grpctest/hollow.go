package grpctest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// Hollow are the services of a program whose methods answer nothing but what the chain refuses. ran
// is told of each that a request gets through to, unless nil.
func Hollow(c *contract.Contract, program string, ran func(method string)) []grpcserver.Registration {
	services := map[protoreflect.FullName]*grpc.ServiceDesc{}
	for _, m := range c.Methods() {
		if m.Program != program {
			continue
		}
		d := m.Descriptor
		of := d.Parent().FullName()
		if services[of] == nil {
			services[of] = &grpc.ServiceDesc{ServiceName: string(of), HandlerType: (*any)(nil)}
		}
		tell := func() {
			if ran != nil {
				ran(m.FullName)
			}
		}
		if d.IsStreamingClient() || d.IsStreamingServer() {
			services[of].Streams = append(services[of].Streams, grpc.StreamDesc{
				StreamName: string(d.Name()), ServerStreams: d.IsStreamingServer(), ClientStreams: d.IsStreamingClient(),
				Handler: func(_ any, s grpc.ServerStream) error {
					tell()
					return s.RecvMsg(dynamicpb.NewMessage(d.Input()))
				},
			})
			continue
		}
		services[of].Methods = append(services[of].Methods, grpc.MethodDesc{
			MethodName: string(d.Name()),
			Handler: func(_ any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor) (any, error) {
				in := dynamicpb.NewMessage(d.Input())
				if err := decode(in); err != nil {
					return nil, err
				}
				return chain(ctx, in, &grpc.UnaryServerInfo{FullMethod: m.FullName}, func(context.Context, any) (any, error) {
					tell()
					return dynamicpb.NewMessage(d.Output()), nil
				})
			},
		})
	}
	var all []grpcserver.Registration
	for _, desc := range services {
		all = append(all, grpcserver.Registration{Desc: desc, Impl: struct{}{}})
	}
	return all
}
