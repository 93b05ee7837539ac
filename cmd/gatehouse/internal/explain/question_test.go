package explain_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

const (
	check = "/gatehouse.authz.v1.AuthzService/Check"
	write = "/gatehouse.authz.v1.AuthzService/WriteRelationships"
)

func TestAsk(t *testing.T) {
	def := meshtest.Definition(t)
	for called, want := range map[string]explain.Question{
		"authz":                      {Caller: "identity", Callee: "authz"},
		"authz/":                     {Caller: "identity", Callee: "authz"},
		"postgres":                   {Caller: "identity", Callee: "postgres"},
		"authz/Check":                {Caller: "identity", Callee: "authz", Path: check},
		"authz/AuthzService/Check":   {Caller: "identity", Callee: "authz", Path: check},
		"authz" + check:              {Caller: "identity", Callee: "authz", Path: check},
		"authz/" + check:             {Caller: "identity", Callee: "authz", Path: check},
		check:                        {Caller: "identity", Callee: "authz", Path: check},
		strings.TrimLeft(check, "/"): {Caller: "identity", Callee: "authz", Path: check},
	} {
		if got, err := explain.Ask(def, "identity", called); err != nil || got != want {
			t.Errorf("%s: %+v, %v", called, got, err)
		}
	}
}

// A name that there is not is one sentence, with a near one where there is one.
func TestAskRefuses(t *testing.T) {
	def := meshtest.Definition(t)
	def.Methods = append(def.Methods, mesh.Method{Path: "/other.v1.Other/Check", Callee: "authz"})
	for name, c := range map[string]struct{ caller, called, want string }{
		"a slip in the caller":        {"identiy", "authz", "did you mean identity?"},
		"a stranger":                  {"billing", "authz", `no program is named "billing": name one of gateway, identity`},
		"a slip in the callee":        {"identity", "atuhz", "did you mean authz?"},
		"a slip in the method":        {"identity", "authz/Chekc", "did you mean Check?"},
		"a slip in service/method":    {"identity", "authz/AuthzServise/GetModel", "did you mean AuthzService/GetModel?"},
		"a slip in the whole name":    {"identity", "/gatehouse.authz.v1.AuthzService/Chekc", "did you mean " + check + "?"},
		"a method of another program": {"identity", "authz/SignIn", `no method of authz is named "SignIn": name one of`},
		"two methods of that name":    {"identity", "authz/Check", "several methods named Check"},
		"a method of a database":      {"identity", "postgres/Check", "postgres serves no gRPC methods: leave /Check out"},
	} {
		if q, err := explain.Ask(def, c.caller, c.called); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v, want %q", name, q, err, c.want)
		}
	}
}
