package app

import (
	"fmt"
	"net/url"

	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// openIDService is OpenIDService, whose methods are web exchanges.
func openIDService(c Config, all *contract.Contract, keys *signingkey.Keeper, ids *signingkey.IDTokens) (grpcserver.Registration, error) {
	issuer, err := url.Parse(c.Kernel.Token.Issuer)
	if err != nil {
		return grpcserver.Registration{}, fmt.Errorf("read the issuer: %w", err)
	}
	desc, err := web.Service(&authv1.OpenIDService_ServiceDesc, all, issuer, openid.Handlers(openid.Params{
		Issuer: c.Kernel.Token.Issuer, Contract: all, Keys: publicKeys{keys, ids},
	}))
	return grpcserver.Registration{Desc: desc, Impl: struct{}{}}, err
}
