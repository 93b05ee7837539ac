package grpcserver_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// R94: with a service prefix, whoever lacks it is nobody, as is who has it in another mesh; those
// who have it are known by the names of their programs, to handlers and in the log.
func TestCallersOfAMeshWithAPrefix(t *testing.T) {
	d := newDemo(t)
	var seen request.Caller
	d.unary = func(ctx context.Context, in *message) (*message, error) {
		seen, _ = request.CallerFrom(ctx)
		return in, nil
	}
	log := &logLines{}
	s := start(t, d, grpctest.Config{Prefix: "gatehouse-", Log: log})
	mesh := grpctest.Mesh()
	mesh.Prefix = "gatehouse-"
	ours := mesh.SPIFFE("gateway")
	for name, id := range map[string]string{
		"without the prefix":    grpctest.SPIFFE("gateway"),
		"another prefix":        strings.Replace(ours, "gatehouse-", "other-", 1),
		"the prefix alone":      strings.TrimSuffix(ours, "gateway"),
		"another mesh":          strings.Replace(ours, "11111111-", "22222222-", 1),
		"another datacenter":    strings.Replace(ours, "/dc/dc1/", "/dc/dc2/", 1),
		"another one in domain": strings.Replace(ours, ".consul/", ".consul.example/", 1),
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, d.call(t.Context(), s.Dial(request.CallerHeader, id), "Public"), codes.PermissionDenied, "CALLER_UNKNOWN")
		})
	}
	expect(t, d.call(t.Context(), s.Dial(request.CallerHeader, ours), "Public"), codes.OK, "")
	if seen.Service != "gateway" || seen.SPIFFE != ours {
		t.Errorf("the handler saw %+v", seen)
	}
	expect(t, d.call(t.Context(), s.Dial(request.CallerHeader, mesh.SPIFFE("stranger")), "Public"), codes.PermissionDenied, "CALLER_NOT_ADMITTED")
	check.Eventually(t, "a line about the gateway", func() bool { // of a call it is written after the answer has left
		return slices.ContainsFunc(log.of(t, "/"+demoService+"/Public"), func(line map[string]any) bool { return line["caller"] == "gateway" })
	})
	if strings.Contains(log.String(), `"caller":"gatehouse-`) {
		t.Errorf("the log names services:\n%s", log)
	}
}
