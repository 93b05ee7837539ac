package fxmod

import (
	"fmt"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// RemotePermissions provides grpcserver.Permissions by asking Authz through the mesh. Its proto must declare the call of BatchCheck.
// Authz being down is those requests' 503 and no health check.
func RemotePermissions() fx.Option {
	return fx.Provide(func(conns *client.Conns) (grpcserver.Permissions, error) {
		conn, err := conns.Conn(authz.Name)
		if err != nil {
			return nil, fmt.Errorf("ask for permissions: %w", err)
		}
		return authz.Permissions(authz.Client(conn)), nil
	})
}
