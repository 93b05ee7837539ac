package apptest

import (
	"io"
	"strconv"
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// Parse returns the configuration of `<program> serve` as its command line makes it, defaults
// included: on the ports, over the database, in the mesh of grpctest and with its issuer. environ
// adds to it.
func Parse[Config any](t testing.TB, program string, ports Ports, database pg.Config, environ ...string) Config {
	t.Helper()
	var cli struct {
		Serve Config `cmd:"" default:"withargs"`
	}
	_, err := config.Parse(program, &cli, nil, append([]string{
		"GATEHOUSE_POSTGRES_URL=" + database.URL.Reveal(),
		"GATEHOUSE_MESH_PORT_OFFSET=" + strconv.Itoa(ports.Offset),
		"GATEHOUSE_MESH_TRUST_DOMAIN=" + grpctest.Mesh().TrustDomain, "GATEHOUSE_MESH_DATACENTER=" + grpctest.Mesh().Datacenter,
		"GATEHOUSE_TOKEN_ISSUER=" + grpctest.Issuer, "GATEHOUSE_TOKEN_AUDIENCE=" + grpctest.Audience,
		"GATEHOUSE_DRAIN_DELAY=10ms", "GATEHOUSE_LOG_LEVEL=error",
	}, environ...), io.Discard)
	check.NoError(t, err)
	return cli.Serve
}

// Nowhere is a database that does not answer.
func Nowhere(program string) pg.Config {
	return pg.Config{URL: config.NewSecret("postgres://" + program + ":x@127.0.0.1:1/gatehouse")}
}
