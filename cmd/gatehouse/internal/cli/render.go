package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/render"
	"github.com/gatehouse/gatehouse/internal/request"
)

type renderCommand struct {
	Prefix     request.ServicePrefix `help:"Goes before the name of every service in Consul, such as gatehouse-." env:"GATEHOUSE_MESH_SERVICE_PREFIX" placeholder:"PREFIX"`
	Out        string                `required:"" help:"Folder to write to: empty, or not there yet." placeholder:"DIR"`
	Ingress    []string              `name:"ingress-source" help:"Service of the site that may call the gateway through the mesh, as in ingress_sources of the Terraform module." env:"GATEHOUSE_CLI_INGRESS_SOURCES" placeholder:"SERVICE"`
	AuthMethod string                `help:"JWT method by which Nomad's workloads log in to Consul." default:"nomad-workloads" placeholder:"NAME"`
	Clients    []string              `name:"nomad-client" help:"Node whose Nomad client gets a policy for a Consul token of its own; only where no jobs but Gatehouse's have services. May be given several times." placeholder:"NODE"`
	OwnCluster bool                  `help:"Consul serves nobody else: also the auth method, and what holds for every sidecar (mesh, proxy-defaults)."`
	JWKSURL    string                `name:"jwks-url" help:"With --own-cluster: where Consul's servers read the keys of Nomad's workload identities, such as https://nomad.example.com:4646/.well-known/jwks.json." placeholder:"URL"`
	JWKSCA     string                `name:"jwks-ca" help:"With --own-cluster: file with the CA's certificate, PEM, by which Consul knows that URL; the system's CAs when empty." placeholder:"FILE"`
	Mesh       string                `help:"Folder of another mesh definition (mesh.json); the built-in one when empty." env:"GATEHOUSE_CLI_MESH" placeholder:"DIR"`
}

// methodForm is what Consul admits as a method's name.
var methodForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// nodeForm keeps names of nodes good for names of policies and files.
var nodeForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// Run writes the files.
func (c *renderCommand) Run(console *Console) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	site, err := render.Of(options)
	if err != nil {
		return err
	}
	if err := site.Write(c.Out); err != nil {
		return err
	}
	console.printf("%d files are in %s; its README.md says how to apply them\n", len(site.Files), c.Out)
	return nil
}

func (c *renderCommand) options() (o render.Options, err error) {
	o = render.Options{Prefix: c.Prefix, Ingress: c.Ingress, AuthMethod: c.AuthMethod, Clients: c.Clients}
	if err := c.Prefix.Check(); err != nil {
		return o, err
	}
	switch {
	case c.Prefix == "" && !c.OwnCluster:
		return o, errors.New("without a prefix, services have names that others may have, and their entries would be overwritten: give --prefix, or --own-cluster where Consul serves nobody else")
	case c.OwnCluster != (c.JWKSURL != ""), !c.OwnCluster && c.JWKSCA != "":
		return o, errors.New("--jwks-url and --jwks-ca belong to the auth method that --own-cluster makes: give --own-cluster with --jwks-url, or none of them")
	case !methodForm.MatchString(c.AuthMethod):
		return o, fmt.Errorf("--auth-method is %q: give the name of the JWT method by which Nomad's workloads log in, letters, digits, - and _", c.AuthMethod)
	}
	for _, service := range c.Ingress {
		if service == intentions.Everybody || service == "" {
			return o, errors.New(`--ingress-source names one service: "*" would admit everybody`)
		}
	}
	for _, node := range c.Clients {
		if !nodeForm.MatchString(node) {
			return o, fmt.Errorf("--nomad-client is %q: give the name of one of Consul's nodes", node)
		}
	}
	if c.OwnCluster {
		o.Own = &render.Own{JWKSURL: c.JWKSURL}
	}
	if c.JWKSCA != "" {
		text, err := os.ReadFile(c.JWKSCA)
		if err != nil {
			return o, fmt.Errorf("the CA of --jwks-ca cannot be read: %w", err)
		}
		o.Own.JWKSCA = string(text)
	}
	o.Definition, err = definition(c.Mesh)
	return o, err
}
