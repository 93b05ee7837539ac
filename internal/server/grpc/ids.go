package grpcserver

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// ids gives each id of a request its one form (relation.CanonicalID) where it enters, so that nothing behind compares, asks about, stores or
// records another spelling of it. Relationships, which hold ids beside their types, get it in Authz.
func ids() middleware {
	return middleware{
		around: func(ctx context.Context, _ *call, next func(context.Context) error) error { return next(ctx) },
		message: func(_ context.Context, c *call, m proto.Message) error {
			if c.infra || c.policy == nil {
				return nil
			}
			for _, path := range c.policy.IDs {
				canonicalise(m.ProtoReflect(), path)
			}
			return nil
		},
	}
}

// canonicalise rewrites the string at a path of singular fields, if the message has it.
func canonicalise(m protoreflect.Message, path string) {
	name, rest, deeper := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case f == nil || f.Cardinality() == protoreflect.Repeated || !m.Has(f):
	case deeper && f.Message() != nil:
		canonicalise(m.Mutable(f).Message(), rest)
	case !deeper && f.Kind() == protoreflect.StringKind:
		m.Set(f, protoreflect.ValueOfString(relation.CanonicalID(m.Get(f).String())))
	}
}
