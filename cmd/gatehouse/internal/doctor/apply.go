package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// entriesLeftOver looks for entries that say that they are ours and that the definition does not have.
func entriesLeftOver(ctx context.Context, site *Site) ([]Finding, error) {
	differences, err := site.differences(ctx)
	var found []Finding
	for _, d := range differences {
		if d.Kind == drift.Extra {
			kind, name, _ := strings.Cut(d.Entry, "/")
			found = append(found, Finding{
				Level: Warning, What: fmt.Sprintf("Consul's %s says that it is Gatehouse's, and the definition does not have it", d.Entry),
				Why: "it decides who may call something by rules that nobody keeps", Fix: fmt.Sprintf("consul config delete -kind %s -name %s", kind, name),
			})
		}
	}
	return found, err
}

func (s *Site) differences(ctx context.Context) ([]drift.Difference, error) {
	held, err := drift.Held(ctx, s.Consul)
	if err != nil {
		return nil, err
	}
	return drift.Compare(s.Entries, held, s.Prefix, drift.LeftOver(s.Definition, s.Prefix))
}

// apply says what an apply would make and change. What it would change back of what an operator has
// denied by hand is a warning.
func apply(ctx context.Context, site *Site) ([]Finding, error) {
	differences, err := site.differences(ctx)
	if err != nil {
		return nil, err
	}
	missing, changed, denied := 0, []string{}, []string{}
	for _, d := range differences {
		switch d.Kind {
		case drift.Missing:
			missing++
		case drift.Changed:
			changed = append(changed, d.Entry)
			denied = append(denied, d.Denied...)
		case drift.Extra:
		}
	}
	policies, err := site.policiesMissing(ctx)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("an apply with the prefix %q would make %d of %d config entries and %d of %d policies with their binding rules, and change %d entries",
		site.Prefix, missing, len(site.Entries), policies, len(site.services()), len(changed))
	if len(changed) > 0 {
		text += " (" + few(changed) + ")"
	}
	found := []Finding{{Level: OK, What: text}}
	if len(denied) > 0 {
		found = append(found, Finding{
			Level: Warning, What: "an apply would allow again what was denied by hand: " + few(denied), Why: "somebody has had a reason",
			Fix: "take the call out of the caller's contract, or say undo_denies in Terraform",
		})
	}
	return found, nil
}

func (s *Site) policiesMissing(ctx context.Context) (int, error) {
	list, err := s.policies(ctx)
	if err != nil {
		return 0, err
	}
	there := map[string]bool{}
	for _, policy := range list {
		there[policy.Name] = true
	}
	missing := 0
	for _, program := range registry.Services(s.Definition) {
		if !there[s.Prefix.Service(program)] {
			missing++
		}
	}
	return missing, nil
}
