package app

import (
	"context"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/gateway/internal/middleware"
	"github.com/gatehouse/gatehouse/internal/loop"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// followOriginsEvery is how often Auth is asked for the web origins of clients: a change shows that
// late.
const followOriginsEvery = 3 * time.Second

// newOrigins are the configured origins, which alone hold until Auth has told those of clients.
func newOrigins(c EdgeConfig) (*middleware.Origins, error) {
	configured, err := c.origins()
	if err != nil {
		return nil, err
	}
	return middleware.NewOrigins(configured)
}

// followOrigins keeps the web origins of clients current. While Auth does not answer, those that
// were told last stay: they let pages read, and give nobody a right.
func followOrigins(pages *middleware.Origins, clients authv1.ClientDirectoryServiceClient) loop.Loop {
	first := make(chan struct{}, 1)
	first <- struct{}{} // at once, and not after the first interval
	return loop.Loop{
		Name: "follow the web origins of clients", Every: followOriginsEvery, Timeout: followOriginsEvery, Wake: first,
		Do: func(ctx context.Context) error {
			response, err := clients.ListWebOrigins(ctx, &authv1.ListWebOriginsRequest{})
			if err != nil {
				return fmt.Errorf("list web origins: %w", err)
			}
			var all, platform []string
			for _, o := range response.GetOrigins() {
				all = append(all, o.GetOrigin())
				if o.GetPlatformApi() {
					platform = append(platform, o.GetOrigin())
				}
			}
			return pages.SetClients(all, platform)
		},
	}
}
