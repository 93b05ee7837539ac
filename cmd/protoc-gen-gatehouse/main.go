// Command protoc-gen-gatehouse writes what follows from the contracts of all programs together: the
// mesh definition (mesh.json), where its contracts stand (sources.json), Consul's config entries
// (config-entries/*.json) and ACLs (acl/*), or, with the option go=true, the lists of programs,
// contracts and routes and the reasons of each program in Go, or, with problems=true, a page for
// each reason.
//
// It is a protoc plugin; buf.gen.yaml runs it with strategy "all", because a call has its caller in one package and its callee in
// another. A contract that does not say enough fails generation with one line for each problem.
package main

import (
	"flag"

	"google.golang.org/protobuf/compiler/protogen"
)

func main() {
	var flags flag.FlagSet
	var o options
	flags.StringVar(&o.root, "source_root", "", "folder of the protos, put before their paths in problems")
	flags.BoolVar(&o.code, "go", false, "write Go code, not Consul's files")
	flags.BoolVar(&o.problems, "problems", false, "write the pages of reasons, not Consul's files")
	protogen.Options{ParamFunc: flags.Set}.Run(func(plugin *protogen.Plugin) error {
		return generate(plugin, o)
	})
}
