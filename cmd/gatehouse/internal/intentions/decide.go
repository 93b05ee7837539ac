// Package intentions reads, judges and changes the service-intentions entries that say who may call
// a service. Names in it are those of Consul's services.
//
// Only commands of the CLI import it.
package intentions

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

// Everybody is the source, and the destination, that stands for all services.
const Everybody = "*"

// Decision is what entries say of one call.
type Decision struct {
	Allowed    bool
	Unsure     bool   // it depends on headers or a token of the request
	Entry      string // name of the service-intentions entry that decides; empty when none does
	Source     string // of the entry: the caller, or Everybody
	Permission int    // that matches first, from 1; 0 where the source has none, or none matches
	Of         int    // permissions of the source
	Says       string // the deciding rule in words
}

// Decide judges a call by a service's own entry and by that of all services, either of which may be
// nil, as Consul does ("Service intentions", precedence): the service's own entry before the other
// one, in each the caller's own source before that of everybody, and of its permissions the first
// that matches. A path that is empty stands for a connection.
func Decide(own, all *api.ServiceIntentionsConfigEntry, caller, path string) Decision {
	entry, source := ruling(own, all, caller)
	if source == nil {
		return Decision{Says: "no entry names the caller: Consul's default decides, which denies unless it was configured otherwise"}
	}
	d := bySource(source, path)
	d.Entry, d.Source = entry.Name, source.Name
	return d
}

// ruling is the source that decides about a caller with the entry that has it, nil without one.
func ruling(own, all *api.ServiceIntentionsConfigEntry, caller string) (*api.ServiceIntentionsConfigEntry, *api.SourceIntention) {
	for _, entry := range []*api.ServiceIntentionsConfigEntry{own, all} {
		if entry == nil {
			continue
		}
		for _, name := range []string{caller, Everybody} {
			if i := sourceOf(entry, name); i >= 0 {
				return entry, entry.Sources[i]
			}
		}
	}
	return nil, nil
}

// sourceOf is the place of a source of this cluster, -1 without one.
func sourceOf(entry *api.ServiceIntentionsConfigEntry, name string) int {
	return slices.IndexFunc(entry.Sources, func(s *api.SourceIntention) bool {
		return s.Name == name && s.Peer == "" && s.SamenessGroup == ""
	})
}

func bySource(s *api.SourceIntention, path string) Decision {
	if len(s.Permissions) == 0 {
		return Decision{Allowed: s.Action == api.IntentionActionAllow, Says: cmp.Or(string(s.Action), "deny")}
	}
	d := Decision{Of: len(s.Permissions)}
	for i, p := range s.Permissions {
		matches, depends := applies(p, path)
		if !matches {
			continue
		}
		d.Allowed, d.Unsure, d.Permission = p.Action == api.IntentionActionAllow, depends, i+1
		d.Says = fmt.Sprintf("%s, %s", p.Action, Condition(p))
		return d
	}
	d.Says = "none of its permissions matches"
	return d
}

// applies reports whether a permission matches a path, and whether more than the path counts.
func applies(p *api.IntentionPermission, path string) (matches, depends bool) {
	http := p.HTTP
	if http == nil {
		return true, p.JWT != nil
	}
	switch {
	case http.PathExact != "":
		matches = path == http.PathExact
	case http.PathPrefix != "":
		matches = strings.HasPrefix(path, http.PathPrefix)
	case http.PathRegex != "":
		whole, err := regexp.Compile("^(?:" + http.PathRegex + ")$")
		matches = err == nil && whole.MatchString(path)
	default:
		matches = true
	}
	calls := len(http.Methods) == 0 || slices.Contains(http.Methods, "POST") // as gRPC's always are
	return matches && calls, len(http.Header) > 0 || p.JWT != nil
}

// Condition is what a permission asks of a request, in words.
func Condition(p *api.IntentionPermission) string {
	var all []string
	if http := p.HTTP; http != nil {
		switch {
		case http.PathExact != "":
			all = append(all, "path is "+http.PathExact)
		case http.PathPrefix != "":
			all = append(all, "path begins with "+http.PathPrefix)
		case http.PathRegex != "":
			all = append(all, "path matches "+http.PathRegex)
		}
		if len(http.Methods) > 0 {
			all = append(all, "method is "+strings.Join(http.Methods, " or "))
		}
		for _, header := range http.Header {
			all = append(all, "by header "+header.Name)
		}
	}
	if p.JWT != nil {
		all = append(all, "by a token")
	}
	return cmp.Or(strings.Join(all, ", "), "every request")
}
