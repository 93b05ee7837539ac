package drift_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func defaults(name, protocol string) *api.ServiceConfigEntry {
	return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Protocol: protocol, ModifyIndex: 7}
}

func path(action api.IntentionAction, exact string) *api.IntentionPermission {
	return &api.IntentionPermission{Action: action, HTTP: &api.IntentionHTTPPermission{PathExact: exact}}
}

func rules(name string, permissions ...*api.IntentionPermission) *api.ServiceIntentionsConfigEntry {
	return &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: name, Sources: []*api.SourceIntention{
		{Name: "shop", Permissions: permissions}, {Name: "*", Action: api.IntentionActionDeny},
	}}
}

// Both directions are drift: what is missing or changed, and what is ours and wanted by nobody.
// Somebody else's entries are none.
func TestCompare(t *testing.T) {
	const allow, deny = api.IntentionActionAllow, api.IntentionActionDeny
	denied := rules("stock", path(deny, "/s.S/Take"), path(allow, "/s.S/Take"), path(allow, "/s.S/Put"))
	denied.Meta = map[string]string{"denied shop /s.S/Take": "by ada"}
	want := []api.ConfigEntry{defaults("stock", "grpc"), rules("stock", path(allow, "/s.S/Take")), defaults("shop", "grpc")}
	same := defaults("shop", "grpc")
	same.ModifyIndex = 9
	held := []api.ConfigEntry{defaults("stock", "http"), denied, same, defaults("foreign", "tcp"), defaults("ours-old", "grpc")}
	got, err := drift.Compare(want, held, "", func(e api.ConfigEntry) bool { return strings.HasPrefix(e.GetName(), "ours") })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]drift.Difference{
		{Kind: drift.Changed, Entry: "service-defaults/stock", Fields: []string{"Protocol"}},
		{Kind: drift.Changed, Entry: "service-intentions/stock", Fields: []string{"Meta", "Sources"}, Calls: []string{
			"shop -> /s.S/Put is allowed and should be denied",
			"shop -> /s.S/Take is denied and should be allowed (denied by hand: by ada)",
		}, Denied: []string{"shop -> /s.S/Take is denied and should be allowed (denied by hand: by ada)"}},
		{Kind: drift.Extra, Entry: "service-defaults/ours-old"},
	}, got); diff != "" {
		t.Error(diff)
	}
	missing, err := drift.Compare(want, nil, "", func(api.ConfigEntry) bool { return true })
	if err != nil || len(missing) != 3 || missing[0].Kind != drift.Missing {
		t.Errorf("%+v, %v", missing, err)
	}
	none, err := drift.Compare(want, want, "", func(api.ConfigEntry) bool { return true })
	if err != nil || len(none) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
}

func TestWhatDependsOnMore(t *testing.T) {
	token := path(api.IntentionActionAllow, "/s.S/Take")
	token.JWT = &api.IntentionJWTRequirement{}
	got, err := drift.Compare([]api.ConfigEntry{rules("stock", path(api.IntentionActionAllow, "/s.S/Take"))}, []api.ConfigEntry{rules("stock", token)}, "",
		func(api.ConfigEntry) bool { return true })
	if err != nil || len(got) != 1 || len(got[0].Calls) != 1 || !strings.Contains(got[0].Calls[0], "depends on more than the definition says") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReport(t *testing.T) {
	r := drift.Report{Asked: "the cluster", Entries: 3, Mend: "apply the entries", Differences: []drift.Difference{
		{Kind: drift.Missing, Entry: "service-defaults/stock"},
		{Kind: drift.Changed, Entry: "service-intentions/stock", Fields: []string{"Sources"}, Calls: []string{"shop -> /s.S/Put is allowed and should be denied"}},
		{Kind: drift.Extra, Entry: "service-resolver/old"},
	}}
	for want, report := range map[string]drift.Report{
		`missing: Consul has no service-defaults of stock: apply the entries to write it again
changed: Consul's service-intentions of stock is not the definition's, by Sources: apply the entries to write it again
  shop -> /s.S/Put is allowed and should be denied
extra: Consul has a service-resolver of old, which the definition does not have: delete it
3 differences between the cluster and the definition with its 3 entries
`: r,
		"all 3 entries in the cluster are as the definition says\n": {Asked: "the cluster", Entries: 3},
	} {
		var out bytes.Buffer
		if err := report.Text(&out); err != nil || out.String() != want || report.OK() != (len(report.Differences) == 0) {
			t.Errorf("%v, %q, want %q", err, out.String(), want)
		}
	}
}

// In a Consul that others use too only entries about services with our prefix can be left over, and
// only those that say that they are ours.
func TestLeftOver(t *testing.T) {
	ours := map[string]string{"managed-by": "gatehouse"}
	managed := func(name string) *api.ServiceConfigEntry {
		return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: name, Meta: ours}
	}
	sidecars := &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Meta: ours}
	for name, c := range map[string]struct {
		prefix request.ServicePrefix
		entry  api.ConfigEntry
		want   bool
	}{
		"ours":                        {"x-", managed("x-old"), true},
		"another platform's":          {"x-", managed("y-old"), false},
		"a longer prefix":             {"x-", managed("x-y-authz"), false},
		"a prefix, and we have none":  {"", managed("x-authz"), false},
		"it does not say so":          {"x-", defaults("x-old", "grpc"), false},
		"without a prefix":            {"", managed("old"), true},
		"all sidecars', no prefix":    {"", sidecars, false},
		"the whole mesh's, no prefix": {"", &api.MeshConfigEntry{Meta: ours}, false},
	} {
		if got := drift.LeftOver(meshtest.Definition(t), c.prefix)(c.entry); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
