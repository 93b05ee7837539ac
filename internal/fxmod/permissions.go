package fxmod

import (
	"fmt"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/client/authz"
)

// RemotePermissions provides access.Permissions by asking Authz through the mesh. Its proto must declare the call of BatchCheck.
// Authz being down is those requests' 503 and no health check.
func RemotePermissions() fx.Option {
	return fx.Provide(func(conns *client.Conns) (access.Permissions, error) {
		conn, err := conns.Conn(authz.Name)
		if err != nil {
			return nil, fmt.Errorf("ask for permissions: %w", err)
		}
		return authz.Permissions(authz.Client(conn)), nil
	})
}
