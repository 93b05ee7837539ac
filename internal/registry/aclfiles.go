package registry

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// What the files leave open, in the words of Terraform's templatefile: the service prefix, how Consul
// reaches Nomad's servers, and the node of a Nomad client.
const (
	openPrefix = request.ServicePrefix("${service_prefix}")
	openURL    = "${jwks_url}"
	openCA     = "${jwks_ca}" // PEM, with \n for the ends of its lines
	openNode   = "${node}"
)

// ACLFiles are the rules of a mesh as files below consul/acl, by path.
func ACLFiles(d *mesh.Definition) (map[string][]byte, error) {
	files := map[string][]byte{"nomad-client.hcl": []byte(NomadClientPolicy(openNode, openPrefix).Rules)}
	method := Login(openURL, openCA)
	var err error
	files["auth-method.json"], err = encode(map[string]any{
		"Name": method.Name, "Type": method.Type, "Description": method.Description, "Config": method.Config,
	})
	if err != nil {
		return nil, err
	}
	for _, name := range Services(d) {
		files["policies/"+name+".hcl"] = []byte(ServicePolicy(d, name, openPrefix).Rules)
		rule := BindingRule(name, openPrefix)
		files["binding-rules/"+name+".json"], err = encode(map[string]any{
			"Description": rule.Description, "AuthMethod": rule.AuthMethod, "BindType": rule.BindType, "BindName": rule.BindName, "Selector": rule.Selector,
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

func encode(fields map[string]any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(fields); err != nil {
		return nil, fmt.Errorf("encode an ACL: %w", err)
	}
	return out.Bytes(), nil
}
