package app

import (
	"fmt"
	"net/url"

	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
)

// openIDService is OpenIDService, whose methods are web exchanges.
func openIDService(c Config, all *contract.Contract, provider *openid.Provider) (grpcserver.Registration, error) {
	issuer, err := url.Parse(c.Kernel.Token.Issuer)
	if err != nil {
		return grpcserver.Registration{}, fmt.Errorf("read the issuer: %w", err)
	}
	desc, err := web.Service(&authv1.OpenIDService_ServiceDesc, all, issuer, provider.Handlers())
	return grpcserver.Registration{Desc: desc, Impl: struct{}{}}, err
}
