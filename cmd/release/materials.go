package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
)

// materials is the bill of materials (CycloneDX): each program with its checksum and the modules that are linked
// into it, as the program itself says.
func materials(version string, c commit, programs []program) ([]byte, error) {
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: c.time.Format(time.RFC3339),
		Component: &cyclonedx.Component{
			BOMRef: "gatehouse", Type: cyclonedx.ComponentTypeApplication, Name: "gatehouse", Version: version,
			Properties: &[]cyclonedx.Property{{Name: "gatehouse:commit", Value: c.id}},
		},
	}
	modules := map[string]cyclonedx.Component{}
	var components []cyclonedx.Component
	var dependencies []cyclonedx.Dependency
	for _, p := range programs {
		content, err := os.ReadFile(p.path)
		if err != nil {
			return nil, fmt.Errorf("read a program: %w", err)
		}
		info, err := buildinfo.Read(bytes.NewReader(content))
		if err != nil {
			return nil, fmt.Errorf("read what %s is built of: %w", p.path, err)
		}
		ref := "linux/" + p.architecture + "/" + p.name
		components = append(components, cyclonedx.Component{
			BOMRef: ref, Type: cyclonedx.ComponentTypeApplication, Name: p.name, Version: version,
			Hashes:     &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: fmt.Sprintf("%x", hash(content))}},
			Properties: &[]cyclonedx.Property{{Name: "gatehouse:platform", Value: "linux/" + p.architecture}},
		})
		linked := []string{}
		add := func(path, version, sum string) {
			m := module(path, version, sum)
			modules[m.BOMRef] = m
			linked = append(linked, m.BOMRef)
		}
		add("std", info.GoVersion[len("go"):], "")
		for _, dependency := range info.Deps {
			if dependency.Replace != nil {
				dependency = dependency.Replace
			}
			add(dependency.Path, dependency.Version, dependency.Sum)
		}
		slices.Sort(linked)
		dependencies = append(dependencies, cyclonedx.Dependency{Ref: ref, Dependencies: &linked})
	}
	for _, ref := range slices.Sorted(maps.Keys(modules)) {
		components = append(components, modules[ref])
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return nil, fmt.Errorf("write the bill of materials: %w", err)
	}
	return out.Bytes(), nil
}

// module is one of Go's, named by its package URL (github.com/package-url/purl-spec). The sum is that of
// go.sum, of its files and not of one archive.
func module(path, version, sum string) cyclonedx.Component {
	ref := "pkg:golang/" + path + "@" + url.PathEscape(version)
	m := cyclonedx.Component{BOMRef: ref, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: ref}
	if sum != "" {
		m.Properties = &[]cyclonedx.Property{{Name: "go:sum", Value: sum}}
	}
	return m
}
