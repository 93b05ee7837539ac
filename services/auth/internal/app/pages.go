package app

import (
	"fmt"
	"net/url"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/contract"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/pages"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// pageParams are what the pages are made of.
type pageParams struct {
	fx.In

	Config   Config
	Logins   *login.Service
	Resets   *reset.Service
	Emails   *emailchange.Service
	Browsers *session.Browsers
	Overview *session.Overview
	Clients  client.Store
	Factors  *factor.Service
	Desk     *mail.Desk
	Now      func() time.Time
}

func newPages(p pageParams) (*pages.Pages, error) {
	return pages.New(pages.Params{
		Logins: p.Logins, Resets: p.Resets, Emails: p.Emails, Browsers: p.Browsers, Overview: p.Overview, Clients: p.Clients, Factors: p.Factors,
		SignUps: login.SignUps(p.Config.SignUps.Where), Mail: p.Desk != nil, Now: p.Now,
	})
}

// pageService is PageService, whose methods are web exchanges.
func pageService(c Config, all *contract.Contract, p *pages.Pages) (grpcserver.Registration, error) {
	issuer, err := url.Parse(c.Kernel.Token.Issuer)
	if err != nil {
		return grpcserver.Registration{}, fmt.Errorf("read the issuer: %w", err)
	}
	desc, err := web.Service(&authv1.PageService_ServiceDesc, all, issuer, p.Handlers())
	return grpcserver.Registration{Desc: desc, Impl: struct{}{}}, err
}
