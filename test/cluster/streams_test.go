package cluster_test

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// Envoy admits 1,024 requests of a cluster by default, and so many streams of one connection. Twice as
// many and more pass from the gateway to Audit's two instances, through its sidecar and through theirs.
func TestStreamsBeyondEnvoysLimit(t *testing.T) {
	const streams, perConnection, atOnce = 2200, 800, 100
	c := running(t)
	c.explains(t)
	c.balance(t)
	l := c.visit(t)
	who := l.signUp(t)
	from := c.inside(t, c.allocations(t, c.nomad(t), "gateway")[0])
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+*who.access.Load()), 2*time.Minute)
	defer cancel()
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	opened, places := make(chan error, streams), make(chan struct{}, atOnce)
	ended := make(chan error, streams)
	for first := 0; first < streams; first += perConnection {
		conn, err := grpc.NewClient("passthrough:///127.0.0.1:"+strconv.Itoa(c.upstream(t, "gateway", "audit")), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return from.dial(ctx, address) }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		for range min(perConnection, streams-first) {
			reading.Go(func() {
				places <- struct{}{}
				stream, err := auditv1.NewAuditServiceClient(conn).TailEvents(ctx, &auditv1.TailEventsRequest{ActorId: who.id, Action: "user.updated"})
				if err == nil {
					_, err = stream.Recv()
				}
				<-places
				opened <- err
				for err == nil {
					_, err = stream.Recv()
				}
				ended <- err
			})
		}
	}
	for n := range streams {
		if err := <-opened; err != nil {
			t.Fatalf("after %d streams: %v", n, err)
		}
	}
	if n := len(ended); n > 0 {
		t.Fatalf("%d of %d streams have ended: %v", n, streams, <-ended)
	}
	status, body := l.ask("GET", "/api/v1/audit/events?page_size=5&actor_id="+who.id, *who.access.Load(), "")
	if status != 200 {
		t.Errorf("a call beside %d streams: %d %s", streams, status, body)
	}
	t.Logf("%d streams are open", streams)
}

// upstream is the local port by which a program reaches another.
func (c *cluster) upstream(t *testing.T, from, to string) int {
	t.Helper()
	info, _, err := c.nomad(t).Jobs().Info(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, service := range info.TaskGroups[0].Services {
		if service.Connect == nil {
			continue
		}
		for _, u := range service.Connect.SidecarService.Proxy.Upstreams {
			if u.DestinationName == c.value("GATEHOUSE_MESH_SERVICE_PREFIX")+to {
				return u.LocalBindPort
			}
		}
	}
	t.Fatalf("%s does not call %s", from, to)
	return 0
}
