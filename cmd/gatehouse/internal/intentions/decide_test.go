package intentions_test

import (
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
)

const (
	allow = api.IntentionActionAllow
	deny  = api.IntentionActionDeny
)

// rule is one permission.
func rule(action api.IntentionAction, http *api.IntentionHTTPPermission) *api.IntentionPermission {
	return &api.IntentionPermission{Action: action, HTTP: http}
}

func exact(action api.IntentionAction, path string) *api.IntentionPermission {
	return rule(action, &api.IntentionHTTPPermission{PathExact: path})
}

// from is a source with permissions, or with the action alone.
func from(name string, action api.IntentionAction, permissions ...*api.IntentionPermission) *api.SourceIntention {
	return &api.SourceIntention{Name: name, Action: action, Permissions: permissions}
}

func entry(name string, sources ...*api.SourceIntention) *api.ServiceIntentionsConfigEntry {
	return &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: name, Sources: sources}
}

// Consul's precedence: the service's own entry first, the caller's own source first, the first
// permission that matches.
func TestDecide(t *testing.T) {
	own := entry("stock",
		from("shop", "", exact(deny, "/s.S/Cut"), exact(allow, "/s.S/Take"), exact(allow, "/s.S/Cut"),
			rule(allow, &api.IntentionHTTPPermission{PathRegex: "/s.S/List.*"}),
			rule(allow, &api.IntentionHTTPPermission{PathExact: "/s.S/Get", Methods: []string{"GET"}}),
			rule(allow, &api.IntentionHTTPPermission{PathExact: "/s.S/Old", Header: []api.IntentionHTTPHeaderPermission{{Name: "x"}}}),
			rule(deny, &api.IntentionHTTPPermission{PathPrefix: "/"})),
		from("desk", "", exact(allow, "/s.S/Take")),
		from("till", allow),
		&api.SourceIntention{Name: "peered", Peer: "elsewhere", Action: allow},
		from("*", deny))
	open := entry("*", from("*", allow))
	for name, c := range map[string]struct {
		own, all     *api.ServiceIntentionsConfigEntry
		caller, path string
		want         intentions.Decision
	}{
		"an exact path":                    {own, open, "shop", "/s.S/Take", intentions.Decision{Allowed: true, Entry: "stock", Source: "shop", Permission: 2, Of: 7}},
		"a denial before the permission":   {own, open, "shop", "/s.S/Cut", intentions.Decision{Entry: "stock", Source: "shop", Permission: 1, Of: 7}},
		"a pattern of the whole path":      {own, open, "shop", "/s.S/ListAll", intentions.Decision{Allowed: true, Entry: "stock", Source: "shop", Permission: 4, Of: 7}},
		"a verb that gRPC never has":       {own, open, "shop", "/s.S/Get", intentions.Decision{Entry: "stock", Source: "shop", Permission: 7, Of: 7}},
		"a header":                         {own, open, "shop", "/s.S/Old", intentions.Decision{Allowed: true, Unsure: true, Entry: "stock", Source: "shop", Permission: 6, Of: 7}},
		"the rest":                         {own, open, "shop", "/s.S/Other", intentions.Decision{Entry: "stock", Source: "shop", Permission: 7, Of: 7}},
		"no permission matches":            {own, open, "desk", "/s.S/Other", intentions.Decision{Entry: "stock", Source: "desk", Of: 1}},
		"an action":                        {own, open, "till", "/s.S/Take", intentions.Decision{Allowed: true, Entry: "stock", Source: "till"}},
		"another cluster's of that name":   {own, open, "peered", "/s.S/Take", intentions.Decision{Entry: "stock", Source: "*"}},
		"everybody else":                   {own, open, "stranger", "/s.S/Take", intentions.Decision{Entry: "stock", Source: "*"}},
		"no entry of its own":              {nil, open, "stranger", "/s.S/Take", intentions.Decision{Allowed: true, Entry: "*", Source: "*"}},
		"no entry at all":                  {nil, nil, "shop", "/s.S/Take", intentions.Decision{}},
		"an entry that does not name them": {entry("stock", from("till", allow)), nil, "shop", "", intentions.Decision{}},
	} {
		got := intentions.Decide(c.own, c.all, c.caller, c.path)
		if got.Says == "" {
			t.Errorf("%s: nothing is said", name)
		}
		got.Says = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestCondition(t *testing.T) {
	for want, p := range map[string]*api.IntentionPermission{
		"path is /a":                            exact(allow, "/a"),
		"path begins with /":                    rule(deny, &api.IntentionHTTPPermission{PathPrefix: "/"}),
		"path matches .*, method is GET or PUT": rule(allow, &api.IntentionHTTPPermission{PathRegex: ".*", Methods: []string{"GET", "PUT"}}),
		"by header x, by a token":               {HTTP: &api.IntentionHTTPPermission{Header: []api.IntentionHTTPHeaderPermission{{Name: "x"}}}, JWT: &api.IntentionJWTRequirement{}},
		"every request":                         {},
	} {
		if got := intentions.Condition(p); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
