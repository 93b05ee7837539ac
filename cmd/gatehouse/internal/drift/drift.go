// Package drift compares the config entries that a Consul holds with those that follow from the
// definition.
//
// Only commands of the CLI import it.
package drift

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Kind is how an entry differs.
type Kind string

// The kinds of differences.
const (
	Missing Kind = "missing" // in Consul
	Changed Kind = "changed"
	Extra   Kind = "extra" // not in the definition
)

// Difference is one entry that is not as the definition says.
type Difference struct {
	Kind   Kind     `json:"kind"`
	Entry  string   `json:"entry"`            // "service-intentions/authz"
	Fields []string `json:"fields,omitempty"` // by which it differs, sorted
	Calls  []string `json:"calls,omitempty"`  // that it decides otherwise, one sentence each
	Denied []string `json:"denied,omitempty"` // of them, what was denied by hand
}

// rulingKinds are the kinds of config entries that decide who may call whom, by which way and under
// which name.
func rulingKinds() []string {
	return []string{
		api.ServiceDefaults, api.ServiceResolver, api.ServiceIntentions, api.ProxyDefaults, api.ServiceRouter, api.ServiceSplitter, api.MeshConfig,
	}
}

// Held are all entries of these kinds in a Consul.
func Held(ctx context.Context, consul *api.Client) ([]api.ConfigEntry, error) {
	var held []api.ConfigEntry
	for _, kind := range rulingKinds() {
		all, _, err := consul.ConfigEntries().List(kind, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("list Consul's %s entries: %w", kind, err)
		}
		held = append(held, all...)
	}
	return held, nil
}

// Compare returns the entries that are missing or say something else, and those held that are ours
// and wanted by nobody. Whatever is neither wanted nor ours is somebody else's, and no drift. Calls
// are told by the programs that services with the prefix are.
func Compare(want, held []api.ConfigEntry, prefix request.ServicePrefix, ours func(api.ConfigEntry) bool) ([]Difference, error) {
	all := []Difference{}
	for _, entry := range want {
		i := slices.IndexFunc(held, func(e api.ConfigEntry) bool { return same(e, entry) })
		if i < 0 {
			all = append(all, Difference{Kind: Missing, Entry: name(entry)})
			continue
		}
		fields, err := changed(entry, held[i])
		if err != nil {
			return nil, err
		}
		if len(fields) > 0 {
			d := Difference{Kind: Changed, Entry: name(entry), Fields: fields}
			d.Calls, d.Denied = calls(entry, held[i], prefix)
			all = append(all, d)
		}
	}
	for _, entry := range held {
		if ours(entry) && !slices.ContainsFunc(want, func(e api.ConfigEntry) bool { return same(e, entry) }) {
			all = append(all, Difference{Kind: Extra, Entry: name(entry)})
		}
	}
	return all, nil
}

// LeftOver reports whether an entry that the definition does not have is left over from it in a
// Consul that others use too: it is about a service with the prefix, and says that it is ours. Those
// of the whole mesh are about no service, and the site's; those of a service that a longer prefix
// makes one of ours are those of another installation.
func LeftOver(def *mesh.Definition, prefix request.ServicePrefix) func(api.ConfigEntry) bool {
	services := registry.Services(def)
	return func(entry api.ConfigEntry) bool {
		program, named := prefix.Program(entry.GetName())
		whole := entry.GetKind() == api.ProxyDefaults || entry.GetKind() == api.MeshConfig
		another := slices.ContainsFunc(services, func(name string) bool { return strings.HasSuffix(program, "-"+name) })
		return named && !whole && !another && registry.IsManaged(entry)
	}
}

// AllMissing reports whether Consul has none of that many entries.
func AllMissing(all []Difference, entries int) bool {
	missing := 0
	for _, d := range all {
		if d.Kind == Missing {
			missing++
		}
	}
	return missing == entries
}

// Sentence is the difference with what mends it, such as "restart the platform".
func (d Difference) Sentence(mend string) string {
	kind, of, _ := strings.Cut(d.Entry, "/")
	switch d.Kind {
	case Missing:
		return fmt.Sprintf("Consul has no %s of %s: %s to write it again", kind, of, mend)
	case Extra:
		return fmt.Sprintf("Consul has a %s of %s, which the definition does not have: delete it", kind, of)
	default:
		return fmt.Sprintf("Consul's %s of %s is not the definition's, by %s: %s to write it again", kind, of, strings.Join(d.Fields, ", "), mend)
	}
}

// program is the name of a service for people: somebody else's has no other one than Consul's.
func program(prefix request.ServicePrefix, service string) string {
	if name, ours := prefix.Program(service); ours {
		return name
	}
	return service
}

func name(e api.ConfigEntry) string { return e.GetKind() + "/" + e.GetName() }

func same(a, b api.ConfigEntry) bool { return a.GetKind() == b.GetKind() && a.GetName() == b.GetName() }

// changed are the names of the fields by which two entries differ.
func changed(a, b api.ConfigEntry) ([]string, error) {
	ours, err := fields(a)
	if err != nil {
		return nil, err
	}
	theirs, err := fields(b)
	if err != nil {
		return nil, err
	}
	both := maps.Clone(ours)
	maps.Copy(both, theirs)
	var differ []string
	for _, field := range slices.Sorted(maps.Keys(both)) {
		if !reflect.DeepEqual(ours[field], theirs[field]) {
			differ = append(differ, field)
		}
	}
	return differ, nil
}

// fields is what an entry says, without what Consul counts.
func fields(entry api.ConfigEntry) (map[string]any, error) {
	raw, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("compare %s: %w", name(entry), err)
	}
	said := map[string]any{}
	if err := json.Unmarshal(raw, &said); err != nil {
		return nil, fmt.Errorf("compare %s: %w", name(entry), err)
	}
	for _, counted := range []string{"CreateIndex", "ModifyIndex", "Hash"} {
		delete(said, counted)
	}
	return said, nil
}

// calls are the calls that two service-intentions entries decide differently: of every source and
// every path that either names.
func calls(a, b api.ConfigEntry, prefix request.ServicePrefix) (all, denied []string) {
	want, ok := a.(*api.ServiceIntentionsConfigEntry)
	held, also := b.(*api.ServiceIntentionsConfigEntry)
	if !ok || !also {
		return nil, nil
	}
	callers, paths := map[string]bool{}, map[string]bool{}
	for _, entry := range []*api.ServiceIntentionsConfigEntry{want, held} {
		for _, source := range entry.Sources {
			callers[source.Name] = true
			for _, p := range source.Permissions {
				if p.HTTP != nil && p.HTTP.PathExact != "" {
					paths[p.HTTP.PathExact] = true
				}
			}
		}
	}
	if len(paths) == 0 {
		paths[""] = true
	}
	for _, caller := range slices.Sorted(maps.Keys(callers)) {
		for _, path := range slices.Sorted(maps.Keys(paths)) {
			text := differs(want, held, caller, path, prefix)
			if text == "" {
				continue
			}
			if said := intentions.Marked(held, caller, path); said != "" {
				text += " (denied by hand: " + said + ")"
				denied = append(denied, text)
			}
			all = append(all, text)
		}
	}
	return all, denied
}

func differs(want, held *api.ServiceIntentionsConfigEntry, caller, path string, prefix request.ServicePrefix) string {
	should, is := intentions.Decide(want, nil, caller, path), intentions.Decide(held, nil, caller, path)
	if should.Allowed == is.Allowed && !is.Unsure {
		return ""
	}
	call := program(prefix, caller) + " -> " + cmp.Or(path, program(prefix, held.Name))
	text := call + " is denied and should be allowed"
	switch {
	case is.Unsure:
		text = call + " depends on more than the definition says: " + is.Says
	case is.Allowed:
		text = call + " is allowed and should be denied"
	}
	return text
}
