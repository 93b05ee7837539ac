package grpcserver

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Lists of ids, and ids of messages in lists, get their one form as single ones do.
func TestRepeatedIDsAreCanonical(t *testing.T) {
	const upper, lower = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	m := &descriptorpb.FileDescriptorProto{
		Dependency:  []string{upper, lower},
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String(upper)}, {}},
		Options:     &descriptorpb.FileOptions{GoPackage: proto.String(upper)},
	}
	for _, path := range []string{"dependency", "message_type.name", "options.go_package", "options", "name.x", "no_such"} {
		canonicalise(m.ProtoReflect(), path)
	}
	if m.Dependency[0] != lower || m.Dependency[1] != lower || m.MessageType[0].GetName() != lower || m.Options.GetGoPackage() != lower {
		t.Errorf("%v", m)
	}
}
