// Package access decides about a call by its contract: which token it needs, what Authz is asked
// about it, how who is not admitted is answered, and for how long a stream stays admitted.
//
// The gRPC server asks it at every call. Programs that ask Authz themselves, and the wiring, import
// it too.
package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Permissions answers whether subjects have relations to objects. Authz is one, for itself;
// internal/client/authz asks it through the mesh.
type Permissions interface {
	// Allowed answers all questions about one subject ("user:…"), in their order, or none. token
	// names a write that the answers must reflect; empty for none. An error never means "no": the
	// request is answered with 503.
	Allowed(ctx context.Context, subject string, asked []Question, token string) ([]bool, error)
}

// Question is one relation to one object ("type:id").
type Question struct{ Relation, Object string }

// maxObjectID bounds the id of an object that is asked about, in bytes.
const maxObjectID = 200

// Guard decides about the calls of one program.
type Guard struct {
	Verifier    Verifier
	Permissions Permissions   // nil where no method asks for permissions
	Changes     *Changes      // tells when what admitted a stream may have changed; nil asks at each turn
	Recheck     time.Duration // of streams
	Now         func() time.Time
}

// Admit tries the alternatives of the contract on one request message: first those that need no
// question, then all permissions in one. It returns what the subject stands on: what was asked, or,
// with a permission on the platform as a whole, that alone; then the subject knows it too. Without
// an error and not admitted, the answer is Refusal.
func (g Guard) Admit(ctx context.Context, policy *contract.Method, who *request.Subject, m proto.Message) (asked []Question, admitted bool, err error) {
	who.ByPlatformRight = false // of an earlier message of the stream
	for _, a := range policy.Access {
		if a.Kind != contract.Self {
			continue
		}
		if value, ok := stringField(m.ProtoReflect(), a.Field); ok && value != "" && value == who.UserID {
			return nil, true, nil
		}
	}
	asked = questions(policy, m)
	allowed, err := Ask(ctx, g.Permissions, who.UserID, asked)
	if err != nil {
		return nil, false, err
	}
	for i, q := range asked {
		if allowed[i] && fixed(policy, q) {
			who.ByPlatformRight = true
			return asked[i : i+1], true, nil
		}
	}
	return asked, slices.Contains(allowed, true), nil
}

// questions are what the permission alternatives ask about a message. A value that cannot be an
// object's id admits nobody, so nothing is asked about it: it would be another question than the
// contract's.
func questions(policy *contract.Method, m proto.Message) []Question {
	var asked []Question
	for _, a := range policy.Access {
		if a.Kind != contract.Permission {
			continue
		}
		id := a.ObjectID
		if a.Field != "" {
			id = ID(m, a.Field)
		}
		if id != "" {
			asked = append(asked, Question{Relation: a.Relation, Object: a.ObjectType + ":" + id})
		}
	}
	return asked
}

// fixed reports whether a question is one that the contract asks at every request, whatever that
// says.
func fixed(policy *contract.Method, q Question) bool {
	return slices.ContainsFunc(policy.Access, func(a contract.Access) bool {
		return a.Kind == contract.Permission && a.ObjectID != "" && q == Question{Relation: a.Relation, Object: a.ObjectType + ":" + a.ObjectID}
	})
}

// Ask returns the answers to questions about a user, in their order, or an error to answer the
// request with; never some of them. A handler asks what decides not about its call, but about what
// of the answer is told.
func Ask(ctx context.Context, permissions Permissions, subject string, asked []Question) ([]bool, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	answers, err := permissions.Allowed(ctx, relation.User(subject), asked, request.Consistency(ctx))
	if err != nil {
		return nil, Undecided(ctx, err)
	}
	if len(answers) != len(asked) {
		return nil, unavailable().Because(fmt.Errorf("%d answers to %d questions", len(answers), len(asked)))
	}
	return answers, nil
}

// Undecided is the answer where permissions could not be asked: never an allow (R62). Only what the
// request's own consistency token caused, or the client's leaving, is told as it is.
func Undecided(ctx context.Context, err error) error {
	var e *apierr.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("ask for permissions: %w", ctx.Err())
	case errors.As(err, &e) && (e.Is(apierr.NotFreshEnough()) || e.Is(apierr.InvalidConsistencyToken())):
		return e
	}
	return unavailable().Because(err)
}

func unavailable() *apierr.Error {
	return apierr.AuthzUnavailable().WithRetryAfter(time.Second)
}

// askable returns a field's value when it can be the id of an object, else "".
func askable(value string) string {
	if value == "" || len(value) > maxObjectID || strings.ContainsAny(value, ":#@*") ||
		strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar }) {
		return ""
	}
	return value
}

// Refusal is the answer where nothing admits the subject. An object that the request names is
// answered like an unknown one, so that nobody learns which exist (R52); what the contract names
// for every request is not a secret.
func Refusal(policy *contract.Method, m proto.Message) error {
	fixed := false
	for _, a := range policy.Access {
		switch {
		case a.Kind != contract.Permission:
		case a.ObjectID != "":
			fixed = true
		default:
			if value, _ := stringField(m.ProtoReflect(), a.Field); value != "" {
				return contract.NotFoundReason(a.ObjectType).Error()
			}
		}
	}
	if fixed {
		return apierr.PermissionDeniedError()
	}
	return contract.NotFoundReason(cmp.Or(policy.Noun, "object")).Error()
}
