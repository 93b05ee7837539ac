// Package mask reads update masks: which fields of a resource a request changes (AIP-134). The api
// packages of services call it.
package mask

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

const maxMaskPaths = 64 // a resource has far fewer fields

// Changed returns the fields that an update changes, as AIP-134 says: those that the mask names,
// all mutable ones for "*", and without a mask those that the resource carries, which the request
// has in its field noun. A path that names a field which cannot be changed, or none, is a violation
// of that field.
func Changed(mask *fieldmaskpb.FieldMask, noun string, resource proto.Message, mutable ...string) (func(field string) bool, error) {
	message := resource.ProtoReflect()
	paths := mask.GetPaths()
	if len(paths) == 0 {
		return func(field string) bool {
			return slices.Contains(mutable, field) && message.Has(message.Descriptor().Fields().ByName(protoreflect.Name(field)))
		}, nil
	}
	invalid := apierr.InvalidArgumentError().Saying("update_mask names a field that cannot be changed")
	if len(paths) > maxMaskPaths {
		return nil, invalid.WithField("update_mask", "max_items", "must name each field once")
	}
	var named []string
	for _, path := range paths {
		field, _, _ := strings.Cut(path, ".")
		switch {
		case path == "*":
			named = append(named, mutable...)
		case slices.Contains(mutable, path):
			named = append(named, path)
		case message.Descriptor().Fields().ByName(protoreflect.Name(field)) == nil:
			invalid = invalid.WithField(noun+"."+shorten(path), "unknown", "no such field; can be changed: "+strings.Join(mutable, ", "))
		default:
			invalid = invalid.WithField(noun+"."+field, "immutable", "cannot be changed here; can be changed: "+strings.Join(mutable, ", "))
		}
	}
	if len(invalid.Fields) > 0 {
		return nil, invalid
	}
	return func(field string) bool { return slices.Contains(named, field) }, nil
}

// shorten keeps a response about a made-up path small.
func shorten(path string) string {
	const longest = 64
	if len(path) <= longest {
		return path
	}
	return strings.ToValidUTF8(path[:longest], "") + "…"
}
