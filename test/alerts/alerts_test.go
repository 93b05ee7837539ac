// Package alerts_test tries the alerts of docs/alerts.rules.yaml with promtool, over series that a
// cluster had: series.txt, which test/cluster writes (-update-series). There a Prometheus finds all
// that is asked for in what really runs.
package alerts_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse/gatehouse/internal/testkit/promtest"
)

const root = "../.."

// scraped are the series that a cluster had.
func scraped(t *testing.T) []promtest.Series {
	t.Helper()
	raw, err := os.ReadFile("series.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []promtest.Series
	for line := range strings.Lines(string(raw)) {
		all = append(all, promtest.ParseSeries(t, strings.TrimSpace(line)))
	}
	if len(all) < 50 {
		t.Fatalf("series.txt has %d series", len(all))
	}
	return all
}

// cases are those that promtool runs.
type cases struct {
	Tests []struct {
		Name        string `yaml:"name"`
		InputSeries []struct {
			Series string `yaml:"series"`
		} `yaml:"input_series"`
		AlertRuleTest []struct {
			Alert string `yaml:"alertname"`
			Want  []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	} `yaml:"tests"`
}

func files() []string { return []string{"alerts.test.yaml", "days.test.yaml"} }

func read(t *testing.T) (all cases) {
	t.Helper()
	for _, file := range files() {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c cases
		if err := yaml.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		all.Tests = append(all.Tests, c.Tests...)
	}
	return all
}

// Every alert rings when it should and is silent when it should not.
func TestAlertsRing(t *testing.T) {
	for _, args := range [][]string{
		{"check", "rules", filepath.Join(root, "docs", "alerts.rules.yaml")}, append([]string{"test", "rules"}, files()...),
	} {
		out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
		if err != nil {
			t.Errorf("promtool %s: %v (Debian: apt-get install prometheus)\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Every alert has a case in which it rings and one in which it is silent over the same metrics, and
// every series in them is one that a cluster had.
func TestEveryAlertHasItsCases(t *testing.T) {
	had := map[string]bool{}
	for _, s := range scraped(t) {
		had[s.String()] = true
	}
	rings, silent := map[string]bool{}, map[string]bool{}
	for _, c := range read(t).Tests {
		var given []promtest.Series
		for _, input := range c.InputSeries {
			s := promtest.ParseSeries(t, input.Series)
			given = append(given, s)
			known := maps.Clone(s)
			if s["status"] == "503" { // of which a healthy cluster has none
				known["status"] = "200"
			}
			if !had[known.String()] {
				t.Errorf("%s: no cluster had %s", c.Name, s)
			}
		}
		for _, wanted := range c.AlertRuleTest {
			ring, asked := len(wanted.Want) > 0, touched(t, wanted.Alert, given)
			rings[wanted.Alert] = rings[wanted.Alert] || ring
			silent[wanted.Alert] = silent[wanted.Alert] || !ring && asked
		}
	}
	for _, rule := range promtest.Rules(t, root) {
		if !rings[rule.Alert] || !silent[rule.Alert] {
			t.Errorf("%s: a case in which it rings: %v; is silent: %v", rule.Alert, rings[rule.Alert], silent[rule.Alert])
		}
	}
}

// touched reports whether some series is asked for by each selector of an alert: without them
// everything is silent.
func touched(t *testing.T, alert string, given []promtest.Series) bool {
	t.Helper()
	for _, rule := range promtest.Rules(t, root) {
		if rule.Alert == alert {
			return len(missing(t, rule.Expr, given)) == 0
		}
	}
	t.Errorf("there is no alert %s", alert)
	return false
}

// missing are the selectors of an expression that no series has.
func missing(t *testing.T, expr string, series []promtest.Series) []string {
	t.Helper()
	var all []string
	for _, selector := range promtest.Selectors(t, expr) {
		found := false
		for _, s := range series {
			found = found || selector.Selects(s)
		}
		// One of several ways in which calls are refused is enough, and a healthy cluster has no errors.
		if !found && !strings.Contains(selector.Text, "rbac_denied") && !strings.Contains(selector.Text, `status=~"5`) {
			all = append(all, selector.Text)
		}
	}
	return all
}

// What the alerts and the dashboard ask for is what a cluster had. Of histograms the buckets are
// left out there.
func TestWhatIsAskedForIsThere(t *testing.T) {
	series := scraped(t)
	for _, rule := range promtest.Rules(t, root) {
		if lacks := missing(t, rule.Expr, series); len(lacks) > 0 {
			t.Errorf("%s asks for %q", rule.Alert, lacks)
		}
	}
	panels := 0
	for _, panel := range promtest.Panels(t, root) {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("the panel %q asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			panels++
			if lacks := missing(t, strings.ReplaceAll(target.Expr, "_bucket", "_count"), series); len(lacks) > 0 {
				t.Errorf("the panel %q asks for %q", panel.Title, lacks)
			}
		}
	}
	if panels < 15 {
		t.Errorf("the dashboard asks %d questions", panels)
	}
}

// Every alert says how grave it is, what is the matter, and which page says what to do.
func TestAlertsSayWhatToDo(t *testing.T) {
	rules := promtest.Rules(t, root)
	if len(rules) < 8 {
		t.Fatalf("%d alerts", len(rules))
	}
	for _, rule := range rules {
		if rule.Labels["severity"] != "critical" && rule.Labels["severity"] != "warning" {
			t.Errorf("%s: severity %q", rule.Alert, rule.Labels["severity"])
		}
		page, err := os.ReadFile(filepath.Join(root, rule.Annotations["runbook"]))
		if err != nil || !strings.Contains(string(page), rule.Alert) || rule.Annotations["summary"] == "" {
			t.Errorf("%s: summary %q; the page %q does not say what to do: %v", rule.Alert, rule.Annotations["summary"], rule.Annotations["runbook"], err)
		}
	}
}
