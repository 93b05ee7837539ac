package cluster

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestTheBalancersConfiguration(t *testing.T) {
	network, err := ParseNetwork("10.203.0.0/23")
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{opts: Options{Dir: prepared(t), Network: network, Now: time.Now}}
	if err := c.makeKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	process, err := c.balancer()
	if err != nil {
		t.Fatal(err)
	}
	file := process.Command[slices.Index(process.Command, "--config-path")+1]
	var read struct {
		Resources struct {
			Clusters []struct {
				Assignment struct {
					Endpoints []struct {
						Endpoints []any `json:"lb_endpoints"`
					} `json:"endpoints"`
				} `json:"load_assignment"`
			} `json:"clusters"`
		} `json:"static_resources"`
	}
	raw := readFile(t, file)
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	if got := len(read.Resources.Clusters[0].Assignment.Endpoints[0].Endpoints); got != clients {
		t.Errorf("%d gateways, want one on each client", got)
	}
}
