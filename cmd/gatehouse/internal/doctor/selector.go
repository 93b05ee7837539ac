package doctor

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/go-bexpr/grammar"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// truth is what is known of a selector: Kleene's logic of three values.
type truth int

const (
	no truth = iota
	maybe
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// job is what is known of a foreign job whose workload logs in: what it names its service, and
// whether it runs in our namespace, where it is not our job. All else may be anything.
type job struct {
	service string // in lower case
	any     bool   // it names any service, or none: then service says nothing
	own     bool   // it runs in our namespace
	notID   string // of our own job there
}

// foreigners are the jobs that must not get the rights of one of our services.
func foreigners(program, service string, any bool) []job {
	return []job{{service: service, any: any}, {service: service, any: any, own: true, notID: program}}
}

// admits says whether a binding rule's selector admits the job. It errs on the side of maybe.
func (j job) admits(selector string) (truth, error) {
	if selector == "" {
		return yes, nil
	}
	parsed, err := grammar.Parse("", []byte(selector))
	if err != nil {
		return maybe, fmt.Errorf("read the selector %q: %w", selector, err)
	}
	expression, ok := parsed.(grammar.Expression)
	if !ok {
		return maybe, nil
	}
	return j.decide(expression), nil
}

func (j job) decide(e grammar.Expression) truth {
	switch e := e.(type) {
	case *grammar.UnaryExpression:
		return yes - j.decide(e.Operand)
	case *grammar.BinaryExpression:
		left, right := j.decide(e.Left), j.decide(e.Right)
		if e.Operator == grammar.BinaryOpAnd {
			return min(left, right)
		}
		return max(left, right)
	case *grammar.MatchExpression:
		return j.match(e)
	default:
		return maybe
	}
}

// match decides one comparison: "value.nomad_service" is a selector, and so is "value" alone, of the
// names of claims.
func (j job) match(e *grammar.MatchExpression) truth {
	path := strings.Join(e.Selector.Path, ".")
	if path == "value" && e.Value != nil {
		claim := e.Value.Raw
		known := claim == "nomad_namespace" || claim == "nomad_job_id" || claim == "nomad_service" && !j.any
		switch {
		case known && e.Operator == grammar.MatchIn:
			return yes
		case known && e.Operator == grammar.MatchNotIn:
			return no
		}
		return maybe
	}
	switch path {
	case "value.nomad_service":
		return j.named(e)
	case "value.nomad_namespace":
		if j.own {
			return compare(e, registry.NomadNamespace)
		}
		return differs(e, registry.NomadNamespace)
	case "value.nomad_job_id":
		if j.own {
			return differs(e, j.notID)
		}
	}
	return maybe
}

// named decides by the name of the service. Consul writes names in lower case after it has compared
// them, so it is ours in whichever case a job writes it.
func (j job) named(e *grammar.MatchExpression) truth {
	if j.any {
		return maybe
	}
	all := compare(e, j.service)
	for i := range j.service {
		for _, variant := range []string{
			j.service[:i] + strings.ToUpper(j.service[i:]),
			j.service[:i] + strings.ToUpper(j.service[i:i+1]) + j.service[i+1:],
		} {
			if compare(e, variant) != all {
				return maybe
			}
		}
	}
	return all
}

// compare decides a comparison with a value that is known.
func compare(e *grammar.MatchExpression, value string) truth {
	operand := ""
	if e.Value != nil {
		operand = e.Value.Raw
	}
	switch e.Operator {
	case grammar.MatchEqual:
		return truthOf(value == operand)
	case grammar.MatchNotEqual:
		return truthOf(value != operand)
	case grammar.MatchIn: // of a string: a part of it
		return truthOf(strings.Contains(value, operand))
	case grammar.MatchNotIn:
		return truthOf(!strings.Contains(value, operand))
	case grammar.MatchIsEmpty:
		return truthOf(value == "")
	case grammar.MatchIsNotEmpty:
		return truthOf(value != "")
	case grammar.MatchMatches, grammar.MatchNotMatches:
		pattern, err := regexp.Compile(operand)
		if err != nil {
			return no // Consul admits nobody by a selector that it cannot evaluate
		}
		return truthOf(pattern.MatchString(value) == (e.Operator == grammar.MatchMatches))
	default:
		return maybe
	}
}

// differs decides a comparison with a value of which is known that it is not this one.
func differs(e *grammar.MatchExpression, not string) truth {
	if e.Value == nil || e.Value.Raw != not {
		return maybe
	}
	switch e.Operator {
	case grammar.MatchEqual:
		return no
	case grammar.MatchNotEqual:
		return yes
	default:
		return maybe
	}
}
