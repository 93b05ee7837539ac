package contract

import (
	"slices"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

func TestRepeatedIDsAreListed(t *testing.T) {
	options := &descriptorpb.FieldOptions{}
	uuid := &validate.FieldRules{Type: &validate.FieldRules_String_{String_: &validate.StringRules{WellKnown: &validate.StringRules_Uuid{Uuid: true}}}}
	proto.SetExtension(options, validate.E_Field, &validate.FieldRules{Type: &validate.FieldRules_Repeated{Repeated: &validate.RepeatedRules{Items: uuid}}})
	repeated := descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("a.proto"), Package: proto.String("a"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("In"), Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("ids"), Number: proto.Int32(1), Label: repeated, Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Options: options},
			}},
			{Name: proto.String("Out"), Field: []*descriptorpb.FieldDescriptorProto{
				{Name: proto.String("in"), Number: proto.Int32(1), Label: repeated, Type: descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), TypeName: proto.String(".a.In")},
			}},
		},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := uuids(file.Messages().ByName("Out"), "", nil); !slices.Equal(got, []string{"in.ids"}) {
		t.Errorf("%v", got)
	}
}
