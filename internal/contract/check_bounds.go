package contract

import (
	"regexp"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// template matches one variable of a route's path.
var template = regexp.MustCompile(`\{[^}]*\}`)

// bounds reports fields of a request that may be arbitrarily long: what a request may carry is limited by its contract, not by luck.
// Output-only fields are not read from requests.
func (k *checker) bounds(request protoreflect.MessageDescriptor) {
	k.boundsOf(request, map[protoreflect.FullName]bool{})
}

func (k *checker) boundsOf(message protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) {
	if seen[message.FullName()] || message.ParentFile().Package() == "google.protobuf" {
		return
	}
	seen[message.FullName()] = true
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		if outputOnly(field) {
			continue
		}
		if rule := missingBound(field); rule != "" {
			k.report(at(field), "%s of %s has no upper bound: add (buf.validate.field).%s", field.Name(), message.Name(), rule)
		}
		if inner := elementMessage(field); inner != nil {
			k.boundsOf(inner, seen)
		}
	}
}

// missingBound names the rule that would bound a field, or is empty when it is bounded.
func missingBound(field protoreflect.FieldDescriptor) string {
	rules, _ := extension[*validate.FieldRules](field.Options(), validate.E_Field)
	switch {
	case field.IsMap():
		if rules.GetMap().MaxPairs == nil {
			return "map.max_pairs"
		}
		if missing := missingScalarBound(field.MapKey().Kind(), rules.GetMap().GetKeys()); missing != "" {
			return "map.keys." + missing
		}
		if missing := missingScalarBound(field.MapValue().Kind(), rules.GetMap().GetValues()); missing != "" {
			return "map.values." + missing
		}
		return ""
	case field.IsList():
		if rules.GetRepeated() == nil || rules.GetRepeated().MaxItems == nil {
			return "repeated.max_items"
		}
		if missing := missingScalarBound(field.Kind(), rules.GetRepeated().GetItems()); missing != "" {
			return "repeated.items." + missing
		}
		return ""
	}
	return missingScalarBound(field.Kind(), rules)
}

func missingScalarBound(kind protoreflect.Kind, rules *validate.FieldRules) string {
	switch kind {
	case protoreflect.StringKind:
		if !stringBounded(rules.GetString()) {
			return "string.max_len"
		}
	case protoreflect.BytesKind:
		b := rules.GetBytes()
		if b == nil || (b.MaxLen == nil && b.Len == nil && b.Const == nil && len(b.GetIn()) == 0) {
			return "bytes.max_len"
		}
	default: // of a fixed size
	}
	return ""
}

func stringBounded(s *validate.StringRules) bool {
	if s == nil {
		return false
	}
	if s.MaxLen != nil || s.Len != nil || s.MaxBytes != nil || s.LenBytes != nil || s.Const != nil || len(s.GetIn()) > 0 {
		return true
	}
	return s.GetUuid() || s.GetTuuid() || s.GetUlid() || s.GetIp() || s.GetIpv4() || s.GetIpv6() || s.GetHostname()
}

func outputOnly(field protoreflect.FieldDescriptor) bool {
	if !proto.HasExtension(field.Options(), annotations.E_FieldBehavior) {
		return false
	}
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	for _, behavior := range behaviors {
		if behavior == annotations.FieldBehavior_OUTPUT_ONLY {
			return true
		}
	}
	return false
}

func elementMessage(field protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if field.IsMap() {
		return field.MapValue().Message()
	}
	return field.Message()
}
