package main

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// options of a run.
type options struct {
	root     string // folder of the protos, put before their paths in problems
	code     bool   // write Go code, not Consul's files
	problems bool   // write the pages of reasons, not Consul's files
}

// generate checks the contracts of the request as a whole and writes the files that follow from
// them.
func generate(plugin *protogen.Plugin, o options) error {
	plugin.SupportedFeatures = uint64(pluginpb.CodeGeneratorResponse_FEATURE_PROTO3_OPTIONAL)
	files := request{plugin}
	c, err := contract.Load(files)
	if err != nil {
		return err
	}
	if problems := c.Check(files, files.generated, o.root); len(problems) > 0 {
		return report(problems)
	}
	switch {
	case o.code:
		generateGo(plugin, c)
		return nil
	case o.problems:
		return generatePages(plugin, c)
	}
	return generateMesh(plugin, c, o.root)
}

// generateMesh writes the mesh definition, where its contracts stand, and Consul's config entries
// and ACLs.
func generateMesh(plugin *protogen.Plugin, c *contract.Contract, root string) error {
	definition := mesh.Derive(c)
	text, err := definition.Encode()
	if err != nil {
		return err
	}
	if err := write(plugin, path.Base(mesh.File), text); err != nil {
		return err
	}
	if text, err = mesh.SourcesOf(c, root).Encode(); err != nil {
		return err
	}
	if err := write(plugin, path.Base(mesh.SourcesFile), text); err != nil {
		return err
	}
	for _, entry := range registry.ConfigEntries(definition, "") {
		text, err := registry.EncodeEntry(entry)
		if err != nil {
			return err
		}
		if err := write(plugin, "config-entries/"+registry.EntryFile(entry), text); err != nil {
			return err
		}
	}
	files, err := registry.ACLFiles(definition)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := write(plugin, "acl/"+name, files[name]); err != nil {
			return err
		}
	}
	return nil
}

func write(plugin *protogen.Plugin, name string, text []byte) error {
	if _, err := plugin.NewGeneratedFile(name, "").Write(text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// report is one line for each problem.
func report(problems []contract.Problem) error {
	lines := make([]string, 0, len(problems)+1)
	lines = append(lines, fmt.Sprintf("%d problem(s) in the contracts:", len(problems)))
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return errors.New(strings.Join(lines, "\n"))
}

// request is the set of files that the compiler handed over.
type request struct{ plugin *protogen.Plugin }

// RangeFiles visits every file, imported ones too.
func (r request) RangeFiles(visit func(protoreflect.FileDescriptor) bool) {
	for _, file := range r.plugin.Files {
		if !visit(file.Desc) {
			return
		}
	}
}

// generated tells the files to generate from imported ones.
func (r request) generated(name string) bool {
	file, ok := r.plugin.FilesByPath[name]
	return ok && file.Generate
}
