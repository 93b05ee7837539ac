package intentions

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// Limits of Consul for what an entry's Meta holds, in bytes.
const (
	longestKey   = 128
	longestValue = 512
	mostPairs    = 64
)

// markPrefix begins the keys of Meta that say of a denial who made it, when and why.
const markPrefix = "denied "

// ErrDenied says that a call that was to be denied already is.
var ErrDenied = errors.New("denied already")

// Mark is who denied a call, when and why.
type Mark struct {
	By     string
	At     time.Time
	Reason string
}

func (m Mark) value() string {
	return fmt.Sprintf("%s by %s: %s", m.At.UTC().Format(time.RFC3339), m.By, m.Reason)
}

// key is where the mark of a denial lies. Of a path that is too long the end counts.
func key(caller, path string) string {
	k := markPrefix + caller
	if path == "" {
		return k
	}
	if room := longestKey - len(k) - 1; len(path) > room {
		path = path[len(path)-room:]
	}
	return k + " " + path
}

// Marked is what the entry says of the denial of a call: of the path alone, or of all of the
// caller's.
func Marked(entry *api.ServiceIntentionsConfigEntry, caller, path string) string {
	if entry == nil {
		return ""
	}
	if said := entry.Meta[key(caller, path)]; said != "" {
		return said
	}
	return entry.Meta[key(caller, "")]
}

// Deny returns the entry with the calls of a caller denied, of one path or all when it is empty, and
// the mark. Whatever else it says stays. all is the entry of all services, nil without one. A caller
// that may only what everybody may, or that entry lets, gets a source of its own, which comes first.
// The error is ErrDenied where nothing of it was allowed.
func Deny(live, all *api.ServiceIntentionsConfigEntry, caller, path string, mark Mark) (*api.ServiceIntentionsConfigEntry, error) {
	entry, err := clone(live)
	if err != nil {
		return nil, err
	}
	if said := mark.value(); len(said) > longestValue {
		return nil, fmt.Errorf("the reason is %d bytes too long: say it shorter", len(said)-longestValue)
	}
	_, now := ruling(entry, all, caller)
	switch {
	case now == nil: // Consul's default decides, which nobody knows here
		now = &api.SourceIntention{Action: api.IntentionActionDeny}
	case path != "" && denies(bySource(now, path)), path == "" && !anything(now):
		return nil, ErrDenied
	}
	source := &api.SourceIntention{Name: caller, Type: api.IntentionSourceConsul}
	if i := sourceOf(entry, caller); i >= 0 {
		source = entry.Sources[i]
	} else {
		entry.Sources = append(entry.Sources, source)
	}
	if path == "" {
		source.Action, source.Permissions = api.IntentionActionDeny, nil
	} else {
		source.Permissions = append([]*api.IntentionPermission{denial(path)}, permissions(now)...) // the first match decides
		source.Action = ""
	}
	if entry.Meta == nil {
		entry.Meta = map[string]string{}
	}
	entry.Meta[key(caller, path)] = mark.value()
	if len(entry.Meta) > mostPairs {
		return nil, fmt.Errorf("service-intentions/%s has no room for another denial: deny %s the whole service, or reset some", entry.Name, caller)
	}
	return entry, nil
}

// permissions are those of a source, or one for every path that says the same as its action.
func permissions(source *api.SourceIntention) []*api.IntentionPermission {
	if len(source.Permissions) > 0 {
		return source.Permissions
	}
	return []*api.IntentionPermission{{Action: source.Action, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/"}}}
}

// denies reports whether a decision refuses every request, and not only some.
func denies(d Decision) bool { return !d.Allowed && !d.Unsure }

func denial(path string) *api.IntentionPermission {
	return &api.IntentionPermission{Action: api.IntentionActionDeny, HTTP: &api.IntentionHTTPPermission{PathExact: path}}
}

// anything reports whether a source allows anything.
func anything(source *api.SourceIntention) bool {
	return source.Action == api.IntentionActionAllow ||
		slices.ContainsFunc(source.Permissions, func(p *api.IntentionPermission) bool { return p.Action == api.IntentionActionAllow })
}

// Reset returns the entry with the calls of a caller as the definition's entry has them, and without
// their marks. Denials of other paths stay when one is named.
func Reset(live, want *api.ServiceIntentionsConfigEntry, caller, path string) (*api.ServiceIntentionsConfigEntry, error) {
	entry, err := clone(live)
	if err != nil {
		return nil, err
	}
	wanted, err := clone(want)
	if err != nil {
		return nil, err
	}
	i, w := sourceOf(entry, caller), sourceOf(wanted, caller)
	if path != "" && w >= 0 && i >= 0 && len(entry.Sources[i].Permissions) == 0 {
		return nil, fmt.Errorf("%s has one rule for all of %s and none for one method: reset it without the method", caller, entry.Name)
	}
	var kept []*api.IntentionPermission
	if path != "" && i >= 0 {
		for _, p := range entry.Sources[i].Permissions {
			if p.Action == api.IntentionActionDeny && p.HTTP != nil && p.HTTP.PathExact != "" && p.HTTP.PathExact != path {
				kept = append(kept, p)
			}
		}
	}
	switch {
	case w < 0 && i >= 0:
		entry.Sources = append(entry.Sources[:i], entry.Sources[i+1:]...)
	case w >= 0:
		source := wanted.Sources[w]
		source.Permissions = append(kept, source.Permissions...)
		if i < 0 {
			entry.Sources = inserted(entry.Sources, source, wanted)
		} else {
			entry.Sources[i] = source
		}
	}
	all := path == "" || w < 0 // the whole source is as in the definition
	maps.DeleteFunc(entry.Meta, func(k, _ string) bool {
		return k == key(caller, path) || all && (k == key(caller, "") || strings.HasPrefix(k, key(caller, "")+" "))
	})
	return entry, nil
}

// inserted puts a source where the wanted entry has it: Consul keeps the order of sources, and
// another one is drift.
func inserted(sources []*api.SourceIntention, source *api.SourceIntention, wanted *api.ServiceIntentionsConfigEntry) []*api.SourceIntention {
	at := slices.IndexFunc(sources, func(s *api.SourceIntention) bool { return sourceOf(wanted, s.Name) > sourceOf(wanted, source.Name) })
	if at < 0 {
		at = len(sources)
	}
	return slices.Insert(sources, at, source)
}

// clone copies an entry through the JSON in which it is sent.
func clone(entry *api.ServiceIntentionsConfigEntry) (*api.ServiceIntentionsConfigEntry, error) {
	raw, err := json.Marshal(entry)
	if err != nil {
		return nil, fmt.Errorf("copy the entry of %s: %w", entry.Name, err)
	}
	var copied api.ServiceIntentionsConfigEntry
	if err := json.Unmarshal(raw, &copied); err != nil {
		return nil, fmt.Errorf("copy the entry of %s: %w", entry.Name, err)
	}
	return &copied, nil
}
