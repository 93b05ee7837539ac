package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/caller"
)

// callingService reads who calls from the one header that the receiving sidecar sets. None or several values are refused: the call did
// not come through the mesh, or somebody tried to add to what the sidecar said.
func callingService() middleware {
	return middleware{around: func(ctx context.Context, c *call, next func(context.Context) error) error {
		if c.infra {
			return next(ctx)
		}
		who, err := peerOf(metadata.ValueFromIncomingContext(ctx, caller.Header))
		if err != nil {
			return apierr.New(apierr.PermissionDenied, "CALLER_UNKNOWN", "the calling program is not known").Because(err)
		}
		c.service = who.Service
		return next(caller.NewContext(ctx, who))
	}}
}

func peerOf(values []string) (caller.Caller, error) {
	if len(values) != 1 {
		return caller.Caller{}, fmt.Errorf("%d values of %s instead of one", len(values), caller.Header)
	}
	name, err := serviceName(values[0])
	if err != nil {
		return caller.Caller{}, err
	}
	return caller.Caller{Service: name, SPIFFE: values[0]}, nil
}

var errSPIFFE = errors.New("not the SPIFFE id of a mesh service")

// serviceName returns the service of a SPIFFE id as Consul's CA issues it:
// spiffe://<trust domain>/ns/<namespace>/dc/<datacenter>/svc/<service>. Whole segments are compared and nothing may follow (R64).
func serviceName(id string) (string, error) {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	if !ok || len(id) > 512 {
		return "", errSPIFFE
	}
	s := strings.Split(rest, "/")
	if len(s) != 7 || s[1] != "ns" || s[3] != "dc" || s[5] != "svc" {
		return "", errSPIFFE
	}
	for _, part := range s {
		if !plain(part) {
			return "", errSPIFFE
		}
	}
	return s[6], nil
}

// plain reports whether a segment holds only letters, digits, dots, hyphens and underscores: no comma joins two ids, no escape hides one.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != ""
}
