package cluster_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/promtest"
)

var updateSeries = flag.Bool("update-series", false, "write what the cluster has of the metrics that are asked for into test/alerts/series.txt")

// A Prometheus with our scrapes and our alerts finds every program, sidecar and server of the
// cluster, and there everything that the alerts and the dashboard ask for.
func TestMetricsAreThere(t *testing.T) {
	c := running(t)
	l := c.load(t)
	l.more(t, 2*perSecond)
	defer l.stop()
	p := c.prometheus(t)
	var exprs []string
	for _, rule := range promtest.Rules(t, c.root) {
		exprs = append(exprs, rule.Expr)
	}
	for _, panel := range promtest.Panels(t, c.root) {
		for _, target := range panel.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	found := map[string]promtest.Series{}
	check.Within(t, time.Minute, "all metrics", func() error {
		l.ask(http.MethodGet, "/api/v1/me", "", "") // refused
		for _, expr := range exprs {
			for _, selector := range promtest.Selectors(t, expr) {
				series, err := p.series(selector.Text)
				if strings.Contains(selector.Text, `status=~"5`) { // of which a healthy cluster has none
					selector.Text, _, _ = strings.Cut(selector.Text, "{")
					series, err = p.series(selector.Text)
				}
				if err != nil || len(series) == 0 {
					return fmt.Errorf("nothing has %s: %w", selector.Text, err)
				}
				for _, s := range series {
					found[s.String()] = s
				}
			}
		}
		return p.healthy(len(programs) + 1)
	})
	if *updateSeries {
		writeSeries(t, filepath.Join(c.root, "test", "alerts", "series.txt"), found)
	}
}

// writeSeries writes series as promtool names them, without what differs from run to run and means
// nothing: buckets of histograms.
func writeSeries(t *testing.T, file string, found map[string]promtest.Series) {
	t.Helper()
	var lines []string
	for text, s := range found {
		if s["le"] == "" {
			lines = append(lines, text+"\n")
		}
	}
	slices.Sort(lines)
	check.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "")), 0o644))
}

// prometheus is one that runs.
type prometheus struct{ address string }

// prometheus starts one with docs/prometheus.yaml, whose services come from a file: the Prometheus
// of Debian is built without Consul's discovery. Files have the labels that it would give.
func (c *cluster) prometheus(t *testing.T) prometheus {
	t.Helper()
	dir := t.TempDir()
	raw, err := os.ReadFile(filepath.Join(c.root, "docs", "prometheus.yaml"))
	check.NoError(t, err)
	server := strings.TrimPrefix(c.value("CONSUL_HTTP_ADDR"), "https://")
	text := strings.NewReplacer("consul.example.com:8501", server, "/etc/prometheus/consul-ca.pem", c.value("CONSUL_CACERT"),
		"/etc/prometheus/consul.pem", c.value("CONSUL_CLIENT_CERT"), "/etc/prometheus/consul-key.pem", c.value("CONSUL_CLIENT_KEY"),
		"/etc/prometheus/consul.token", c.value("CONSUL_HTTP_TOKEN_FILE"), "alerts.rules.yaml", filepath.Join(c.root, "docs", "alerts.rules.yaml"),
		"interval: 15s", "interval: 1s").Replace(string(raw))
	var config map[string]any
	check.NoError(t, yaml.Unmarshal([]byte(text), &config))
	targets := filepath.Join(dir, "targets.json")
	jobs, _ := config["scrape_configs"].([]any)
	for _, job := range jobs {
		if fields, _ := job.(map[string]any); fields["consul_sd_configs"] != nil {
			delete(fields, "consul_sd_configs")
			fields["file_sd_configs"] = []any{map[string]any{"files": []string{targets}}}
		}
	}
	services, err := json.Marshal(c.discovered(t))
	check.NoError(t, err)
	check.NoError(t, os.WriteFile(targets, services, 0o600))
	written, err := yaml.Marshal(config)
	check.NoError(t, err)
	check.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yaml"), written, 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	p := prometheus{address: listener.Addr().String()}
	check.NoError(t, listener.Close())
	cmd := c.command(t, "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address, "--log.level=warn")
	log, err := os.Create(filepath.Join(dir, "log"))
	check.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: install prometheus (Debian: apt-get install prometheus)", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("prometheus says:\n%s", said)
		}
	})
	return p
}

// group is one of a file with targets.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// discovered are all services of the catalog as Prometheus' discovery tells them.
func (c *cluster) discovered(t *testing.T) []group {
	t.Helper()
	client := c.consul(t)
	names, _, err := client.Catalog().Services(nil)
	check.NoError(t, err)
	var all []group
	for name := range names {
		instances, _, err := client.Catalog().Service(name, "", &consul.QueryOptions{})
		check.NoError(t, err)
		for _, i := range instances {
			g := group{Targets: []string{net.JoinHostPort(i.ServiceAddress, strconv.Itoa(i.ServicePort))}, Labels: map[string]string{
				"__meta_consul_service": i.ServiceName, "__meta_consul_address": i.Address, "__meta_consul_service_address": i.ServiceAddress,
			}}
			for key, value := range i.ServiceMeta {
				g.Labels["__meta_consul_service_metadata_"+strings.ReplaceAll(key, "-", "_")] = value
			}
			all = append(all, g)
		}
	}
	return all
}

// ask asks Prometheus' API (v1) and decodes the data of the answer.
func (p prometheus) ask(path string, query url.Values, data any) error {
	response, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s: %w", path, response.Status, raw, err)
	}
	return json.Unmarshal(raw, &struct {
		Data any `json:"data"`
	}{data})
}

func (p prometheus) series(selector string) (found []promtest.Series, err error) {
	return found, p.ask("series", url.Values{"match[]": {selector}}, &found)
}

// healthy wants that all targets answer, of every kind, at least so many of the first two, and that
// no alert but for those of a cluster with few instances is there.
func (p prometheus) healthy(services int) error {
	var targets struct {
		ActiveTargets []struct{ ScrapePool, ScrapeURL, Health, LastError string } `json:"activeTargets"`
	}
	if err := p.ask("targets", nil, &targets); err != nil {
		return err
	}
	counts := map[string]int{}
	for _, target := range targets.ActiveTargets {
		if target.Health != "up" {
			return fmt.Errorf("%s of %s is %s: %s", target.ScrapeURL, target.ScrapePool, target.Health, target.LastError)
		}
		counts[target.ScrapePool]++
	}
	if counts["gatehouse-programs"] < services-1 || counts["gatehouse-sidecars"] < services || counts["consul-servers"] == 0 {
		return fmt.Errorf("it asks %v", counts)
	}
	var alerts struct {
		Alerts []struct {
			Labels map[string]string `json:"labels"`
			State  string            `json:"state"`
		} `json:"alerts"`
	}
	if err := p.ask("alerts", nil, &alerts); err != nil {
		return err
	}
	for _, alert := range alerts.Alerts {
		if alert.State == "firing" {
			return fmt.Errorf("a healthy cluster has the alert %v", alert.Labels)
		}
	}
	return nil
}
