// Package promtest knows what the alerts and the dashboard ask of metrics, for tests.
package promtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"
)

// Rule is an alert.
type Rule struct {
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// Rules are the alerts of docs/alerts.rules.yaml in a checkout.
func Rules(t testing.TB, root string) []Rule {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs", "alerts.rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []Rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	var all []Rule
	for _, group := range file.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// Panel is what a panel of the dashboard asks.
type Panel struct {
	Title   string `json:"title"`
	Type    string `json:"type"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// Panels are those of docs/dashboard.json in a checkout.
func Panels(t testing.TB, root string) []Panel {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "docs", "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Panels []Panel `json:"panels"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Panels
}

// Selector is the metric and the labels that an expression asks for.
type Selector struct {
	Text string // in PromQL, such as `up{job="x"}`
	of   *metricsql.MetricExpr
}

// Selectors are those of an expression.
func Selectors(t testing.TB, expr string) []Selector {
	t.Helper()
	parsed, err := metricsql.Parse(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var all []Selector
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		if m, ok := e.(*metricsql.MetricExpr); ok {
			all = append(all, Selector{Text: string(m.AppendString(nil)), of: m})
		}
	})
	return all
}

// Series is the name (as __name__) and the labels of a time series.
type Series map[string]string

// String writes the series as promtool's tests name it, with sorted labels.
func (s Series) String() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if name != "__name__" {
			labels = append(labels, fmt.Sprintf("%s=%q", name, s[name]))
		}
	}
	return s["__name__"] + "{" + strings.Join(labels, ", ") + "}"
}

// ParseSeries reads what String has written.
func ParseSeries(t testing.TB, text string) Series {
	t.Helper()
	s := Series{}
	for _, selector := range Selectors(t, text) {
		for _, alternatives := range selector.of.LabelFilterss {
			for _, f := range alternatives {
				s[f.Label] = f.Value
			}
		}
	}
	return s
}

// Selects reports whether the series is one of those that the selector asks for. A label that is not
// there is empty.
func (s Selector) Selects(series Series) bool {
	return slices.ContainsFunc(s.of.LabelFilterss, func(all []metricsql.LabelFilter) bool {
		return !slices.ContainsFunc(all, func(f metricsql.LabelFilter) bool {
			equal := series[f.Label] == f.Value
			if f.IsRegexp {
				equal = regexp.MustCompile("^(?:" + f.Value + ")$").MatchString(series[f.Label])
			}
			return equal == f.IsNegative
		})
	})
}
