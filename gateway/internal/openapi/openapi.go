// Package openapi makes /openapi.json: what protoc-gen-openapiv3 says of the contracts, corrected
// to what the gateway really does and named for the programs that are generated from it (ADR 0087).
//
// The generator knows the mapping; the contract knows who needs a token, which status answers and
// what is refused; the gateway knows its problem documents, its headers and its names. Build joins
// the three. Wiring and the tests import it.
package openapi

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/contract"
)

//go:embed generated
var generated embed.FS

// object is a JSON object of the document.
type object = map[string]any

// Generated returns the generator's documents, one a contract.
func Generated() fs.FS { return generated }

// Source is what the document is made of.
type Source struct {
	Files    fs.FS // of the generator: Generated()
	Contract *contract.Contract
	Version  string
	Issuer   string // URL at which clients reach the platform
}

// Build returns the OpenAPI 3.1 document of all routed methods as JSON. A route without a generated
// operation, or an operation without a route, is an error: the generated files are then older than
// the contracts. So are two methods, messages or services whose names would be one in the document:
// whoever generates a client from it needs each once.
func Build(s Source) ([]byte, error) {
	b := builder{
		contract: s.Contract, operations: map[string]object{}, schemas: object{}, tags: map[string]object{},
		responses: object{}, headers: object{}, names: map[string]string{},
	}
	if err := b.read(s.Files); err != nil {
		return nil, err
	}
	paths, err := b.paths()
	if err != nil {
		return nil, err
	}
	schemas, err := b.components(paths)
	if err != nil {
		return nil, err
	}
	tags, err := b.usedTags()
	if err != nil {
		return nil, err
	}
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "Gatehouse",
			"description": introduction,
			"version":     s.Version,
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": servers(s.Issuer),
		"paths":   paths,
		"tags":    tags,
		"components": object{
			"schemas": schemas, "responses": b.responses, "parameters": sharedParameters(), "headers": b.headers,
			"securitySchemes": object{bearerScheme: object{
				"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Access token of sign-in or refresh.",
			}},
		},
	}
	rename(document)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return out.Bytes(), nil
}

const introduction = "Sign-in, users and permissions.\n\n" +
	"Names are those of the protos. Unknown fields and parameters are refused, and null says the same as leaving a field out. " +
	"Answers may get further fields: pass over those that you do not know.\n\n" +
	"Every refusal is a problem document (RFC 9457). Match on its `reason`, which never changes its meaning; each operation lists those that it " +
	"is known for, in the description of its answers and as `x-reasons`. Any operation may also fail with 500, 503 or 504. " +
	"The header X-Request-Id of an answer is to quote to support.\n\n" +
	"What standards say is not repeated here, such as the provider's OpenID metadata, at `/.well-known/openid-configuration` below the issuer."

// servers are where the API is served: here, and at a platform that whoever reads this has.
func servers(issuer string) []any {
	return []any{
		object{"url": strings.TrimSuffix(issuer, "/"), "description": "The platform that serves this document, under the name of its issuer."},
		object{
			"url": "https://{host}", "description": "A platform of your own.",
			"variables": object{"host": object{
				"default": "gatehouse.example", "description": "Host of its issuer (GATEHOUSE_TOKEN_ISSUER), with the port if it has another than 443.",
			}},
		},
	}
}

// builder holds what was read of the generated files, and what the document has beside its paths.
// Schemas and references to them have the full names of messages; rename makes component names of
// them at the end.
type builder struct {
	contract   *contract.Contract
	operations map[string]object // by operationKey; those that have a path are removed
	schemas    object            // by message name; bodies of requests are added
	tags       map[string]object // by service name
	used       []string          // services that have a path
	streamed   []string          // messages of streams
	responses  object            // shared refusals that are used
	headers    object            // shared headers that are used
	names      map[string]string // what has a name in the document, by kind and name
}

// leaveOut leaves out web exchanges: standards say what is sent there, and the generator describes
// the envelope.
func (b *builder) leaveOut(m *contract.Method) bool {
	if m.Exchange {
		delete(b.operations, operationKey(m.Route.Verb, m.Route.Path))
	}
	return m.Exchange
}

func operationKey(verb, path string) string { return strings.ToUpper(verb) + " " + path }

func (b *builder) read(files fs.FS) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(name, ".json") {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		var document struct {
			Paths      map[string]map[string]object
			Components struct{ Schemas object }
			Tags       []object
		}
		if err := json.Unmarshal(text, &document); err != nil {
			return fmt.Errorf("read generated OpenAPI file %s: %w", name, err)
		}
		for path, item := range document.Paths {
			for verb, operation := range item {
				b.operations[operationKey(verb, path)] = operation
			}
		}
		maps.Copy(b.schemas, document.Components.Schemas)
		for _, tag := range document.Tags {
			if name, ok := tag["name"].(string); ok {
				b.tags[name] = tag
			}
		}
		return nil
	})
}

// paths returns the corrected operations of all routed methods.
func (b *builder) paths() (object, error) {
	paths := object{}
	for _, m := range b.contract.Methods() {
		if m.Route == nil || b.leaveOut(m) {
			continue
		}
		key := operationKey(m.Route.Verb, m.Route.Path)
		operation, ok := b.operations[key]
		if !ok {
			return nil, fmt.Errorf("no generated operation for %s: run make generate", key)
		}
		delete(b.operations, key)
		if err := b.correct(operation, m); err != nil {
			return nil, fmt.Errorf("operation %s: %w", key, err)
		}
		path := plainPath(m.Route.Path)
		item, _ := paths[path].(object)
		if item == nil {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(m.Route.Verb)] = operation
	}
	if len(b.operations) > 0 {
		return nil, fmt.Errorf("generated operations without a route: %v: run make generate", slices.Sorted(maps.Keys(b.operations)))
	}
	return paths, nil
}

// usedTags are the services that have a path, as groups of operations.
func (b *builder) usedTags() ([]any, error) {
	tags := []any{}
	slices.Sort(b.used)
	for _, service := range slices.Compact(b.used) {
		name := tagName(service)
		if err := b.claim("tag", name, service); err != nil {
			return nil, err
		}
		description, _ := b.tags[service]["description"].(string)
		tags = append(tags, object{"name": name, "description": said(description, service)})
	}
	return tags, nil
}

// plainPath names each variable of a template by its last element, so that verbs of one resource share one path: "{user.id}" is "{id}".
func plainPath(template string) string {
	var out strings.Builder
	for rest := template; ; {
		before, after, open := strings.Cut(rest, "{")
		inside, tail, closed := strings.Cut(after, "}")
		out.WriteString(before)
		if !open || !closed {
			return out.String()
		}
		name, _, _ := strings.Cut(inside, "=")
		out.WriteString("{" + lastElement(name) + "}")
		rest = tail
	}
}

func lastElement(path string) string { return path[strings.LastIndex(path, ".")+1:] }
