package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// validate holds every request message to the protovalidate rules of its contract. Rules are compiled when a message type is first
// seen, so that they cost nothing at start.
func validate() middleware {
	validator := sync.OnceValues(func() (protovalidate.Validator, error) { return protovalidate.New() })
	return middleware{
		message: func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error) {
			if c.infra {
				return ctx, nil
			}
			v, err := validator()
			if err != nil {
				return ctx, fmt.Errorf("make validator: %w", err)
			}
			return ctx, violations(v.Validate(m))
		},
	}
}

// violations names each violated field and rule. The values themselves are not repeated: they may be secrets.
func violations(err error) error {
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("apply validation rules: %w", err)
	}
	e := apierr.InvalidArgumentError()
	for _, v := range invalid.Violations {
		e = e.WithField(protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetRuleId(), v.Proto.GetMessage())
	}
	return e
}
