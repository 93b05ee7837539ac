package cluster

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

// site is a cluster of which only the door and Nomad's API are there.
func site(t *testing.T, door http.HandlerFunc) (state.Dir, Record) {
	t.Helper()
	c := &cluster{opts: Options{Dir: prepared(t), Now: time.Now}}
	check.NoError(t, c.makeKeys(t.Context()))
	balancer := httptest.NewTLSServer(door)
	t.Cleanup(balancer.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: balancer.Certificate().Raw})
	check.NoError(t, c.opts.Dir.WriteSecret(SiteCA, string(ca)))
	return c.opts.Dir, Record{Healthy: true, URL: balancer.URL, Consul: "127.0.0.1:1"}
}

// A cluster is healthy when its door answers that a gateway is ready, and when every job of the
// definition has the instances that it should have: one that Nomad does not know at all is told too.
func TestWhatIsHealthy(t *testing.T) {
	nomad := nomadtest.New(t)
	_, err := nomad.Namespaces().Register(&api.Namespace{Name: operator.Namespace}, nil)
	check.NoError(t, err)
	answer := http.StatusOK
	dir, record := site(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("the door is asked for %s", r.URL)
		}
		w.WriteHeader(answer)
	})
	check.NoError(t, dir.WriteSecret(NomadToken, nomad.Token))
	record.Nomad = nomad.Address
	look := func(jobs ...string) Status {
		t.Helper()
		status := Look(t.Context(), dir, record, jobs)
		if len(status.Jobs) != len(jobs) {
			t.Errorf("%d of %d jobs are listed", len(status.Jobs), len(jobs))
		}
		return status
	}
	if status := look(); !status.Healthy || status.Door != "200 OK" {
		t.Errorf("with an open door: %+v", status)
	}
	record.Healthy = false
	if status := look(); status.Healthy || status.Started {
		t.Errorf("while it starts: %+v", status)
	}
	record.Healthy = true
	if status := look("identity"); status.Healthy || !status.Started || !strings.Contains(status.Jobs[0].State, "nomad job run") {
		t.Errorf("with a job that is not there: %+v", status)
	}
	job := api.NewServiceJob("identity", "identity", "global", 50).AddDatacenter("dc1")
	job.Namespace = new(operator.Namespace)
	job.AddTaskGroup(api.NewTaskGroup("identity", 2).AddTask(api.NewTask("serve", "exec").SetConfig("command", "true")))
	_, _, err = nomad.Jobs().Register(job, &api.WriteOptions{Namespace: operator.Namespace})
	check.NoError(t, err)
	if status := look("identity"); status.Healthy || status.Jobs[0] != (JobStatus{"identity", "0 of 2 run", 2, 0}) {
		t.Errorf("with a job that no host takes: %+v", status)
	}
	for instances, want := range map[int]string{1: "1 of 2 run", 2: running, 4: running} {
		all := []Allocation{{Job: "auth", State: running}, {Job: "identity", State: "pending"}}
		for range instances {
			all = append(all, Allocation{Job: "identity", State: running})
		}
		one := JobStatus{Name: "identity"}
		if one.look(t.Context(), operators(t, dir, record), all); one.State != want || one.Running != instances {
			t.Errorf("with %d instances: %+v", instances, one)
		}
	}
	_, _, err = nomad.Jobs().Deregister("identity", false, &api.WriteOptions{Namespace: operator.Namespace})
	check.NoError(t, err)
	if status := look("identity"); status.Healthy || status.Jobs[0].State != "stopped" {
		t.Errorf("with a job that was stopped: %+v", status)
	}
	answer = http.StatusServiceUnavailable
	if status := look(); status.Healthy || status.Door != "503 Service Unavailable" {
		t.Errorf("with no gateway behind the door: %+v", status)
	}
	record.Nomad = "http://127.0.0.1:1"
	if status := look("identity"); status.Healthy || !strings.Contains(status.Jobs[0].State, "127.0.0.1:1") {
		t.Errorf("without Nomad: %+v", status)
	}
}

func operators(t *testing.T, dir state.Dir, r Record) *api.Client {
	t.Helper()
	client, err := Nomad(dir, r)
	check.NoError(t, err)
	return client
}

// A Consul that takes the question and does not answer is not waited for.
func TestAConsulThatHangs(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	dir, record := site(t, func(http.ResponseWriter, *http.Request) {})
	record.Consul = listener.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	done := make(chan string)
	go func() { done <- members(ctx, dir, record)("server") }()
	select {
	case answer := <-done:
		if !strings.Contains(answer, "deadline") {
			t.Errorf("it is said to be %q", answer)
		}
	case <-time.After(time.Minute):
		t.Fatal("it is waited for")
	}
}
