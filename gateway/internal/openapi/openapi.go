// Package openapi makes /openapi.json: what protoc-gen-openapiv3 says of the contracts, corrected to what the gateway really does.
//
// The generator knows the mapping; the contract knows who needs a token and which status answers; the gateway knows its problem
// documents, its ETag and its names. Build joins the three. Wiring and the tests import it.
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

// Build returns the OpenAPI 3.1 document of all routed methods as JSON. A route without a generated operation, or an operation without
// a route, is an error: the generated files are then older than the contracts.
func Build(files fs.FS, c *contract.Contract, version string) ([]byte, error) {
	b := builder{operations: map[string]object{}, schemas: object{}, tags: map[string]object{}}
	if err := b.read(files); err != nil {
		return nil, err
	}
	paths, used := object{}, map[string]bool{}
	for _, m := range c.Methods() {
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
		used[string(m.Descriptor.Parent().Name())] = true
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
	schemas, err := b.reachable(paths)
	if err != nil {
		return nil, err
	}
	schemas[problemSchema] = problem()
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title":       "Gatehouse",
			"description": "Sign-in, users and permissions. Names are those of the protos; unknown fields and parameters are refused.",
			"version":     version,
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths": paths,
		"tags":  b.usedTags(used),
		"components": object{
			"schemas": schemas, "parameters": sharedParameters(), "headers": sharedHeaders(),
			"securitySchemes": object{bearerScheme: object{
				"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Access token of sign-in or refresh.",
			}},
		},
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return out.Bytes(), nil
}

// builder holds what was read of the generated files and is not yet used.
type builder struct {
	operations map[string]object // by operationKey
	schemas    object            // by message name
	tags       map[string]object // by service name
}

// leaveOut leaves out web exchanges: standards say what is sent there, and the generator describes the envelope.
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

func (b *builder) usedTags(used map[string]bool) []any {
	tags := []any{}
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if tag, ok := b.tags[name]; ok {
			tags = append(tags, tag)
		}
	}
	return tags
}

// reachable returns the corrected schemas that the paths use, directly or through each other.
func (b *builder) reachable(paths object) (object, error) {
	found := object{}
	pending := references(paths)
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if _, done := found[name]; done || name == problemSchema {
			continue
		}
		schema, ok := b.schemas[name].(object)
		if !ok {
			return nil, fmt.Errorf("schema %s is used and not generated", name)
		}
		if err := correctMessage(schema, name); err != nil {
			return nil, err
		}
		found[name] = schema
		pending = append(pending, references(schema)...)
	}
	return found, nil
}

const schemaPrefix = "#/components/schemas/"

// references lists the schemas that a part of the document names.
func references(part any) []string {
	var names []string
	switch part := part.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(part)) {
			if target, ok := part[key].(string); ok && key == "$ref" {
				if !strings.HasPrefix(target, schemaPrefix) {
					continue
				}
				names = append(names, strings.TrimPrefix(target, schemaPrefix))
				continue
			}
			names = append(names, references(part[key])...)
		}
	case []any:
		for _, element := range part {
			names = append(names, references(element)...)
		}
	}
	return names
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
