package grpcserver

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// ids gives each id of a request its one form (relation.CanonicalID) where it enters, so that
// nothing behind compares, asks about, stores or records another spelling of it. Relationships,
// which hold ids beside their types, get it in Authz.
func ids() middleware {
	return middleware{
		message: func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error) {
			if c.infra || c.policy == nil {
				return ctx, nil
			}
			for _, path := range c.policy.IDs {
				canonicalise(m.ProtoReflect(), path)
			}
			return ctx, nil
		},
	}
}

// canonicalise rewrites the strings at a path of fields, single or repeated, if the message has
// them.
func canonicalise(m protoreflect.Message, path string) {
	name, rest, deeper := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if f == nil || f.IsMap() || !m.Has(f) || deeper != (f.Message() != nil) || !deeper && f.Kind() != protoreflect.StringKind {
		return
	}
	one := func(v protoreflect.Value) protoreflect.Value {
		if deeper {
			canonicalise(v.Message(), rest)
			return v
		}
		return protoreflect.ValueOfString(relation.CanonicalID(v.String()))
	}
	if !f.IsList() {
		m.Set(f, one(m.Get(f)))
		return
	}
	for list, i := m.Mutable(f).List(), 0; i < list.Len(); i++ {
		list.Set(i, one(list.Get(i)))
	}
}
