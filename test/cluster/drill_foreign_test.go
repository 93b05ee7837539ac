package cluster_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const foreign = `
job "foreign" {
  group "foreign" {
    network {
      mode = "bridge"
    }
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    service {
      name = "SERVICE"
      port = 8083
      connect {
        sidecar_service {}
        sidecar_task {
          driver = "exec"
          config {
            command = "/opt/gatehouse/bin/envoy"
          }
        }
      }
    }
    task "serve" {
      driver = "exec"
      config {
        command = "/opt/gatehouse/bin/authz"
        args    = ["version"]
      }
    }
  }
}`

// A job of another namespace does not become one of our services by naming it.
func TestAForeignJobIsNoServiceOfOurs(t *testing.T) {
	c := running(t)
	client := c.nomad(t)
	job, err := client.Jobs().ParseHCL(strings.ReplaceAll(foreign, "SERVICE", c.value("GATEHOUSE_MESH_SERVICE_PREFIX")+"authz"), true)
	check.NoError(t, err)
	elsewhere := &nomad.WriteOptions{Namespace: "default"}
	_, _, err = client.Jobs().Register(job, elsewhere)
	check.NoError(t, err)
	t.Cleanup(func() { _, _, _ = client.Jobs().Deregister("foreign", true, elsewhere) })
	check.Within(t, time.Minute, "Consul refuses it", func() error {
		all, _, err := client.Jobs().Allocations("foreign", false, &nomad.QueryOptions{Namespace: "default"})
		check.NoError(t, err)
		said := errors.New("it has no allocation")
		for _, a := range all {
			for _, state := range a.TaskStates {
				for _, event := range state.Events {
					if strings.Contains(event.DisplayMessage, "403") && strings.Contains(event.DisplayMessage, "Permission denied") {
						return nil
					}
					said = errors.New(event.DisplayMessage)
				}
			}
		}
		return said
	})
	hosts, err := c.passing(c.consul(t), "authz")
	check.NoError(t, err)
	if len(hosts) != 2 {
		t.Errorf("authz has %d instances, want ours: 2", len(hosts))
	}
}
