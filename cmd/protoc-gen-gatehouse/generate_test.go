package main

import (
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const repository = "../.."

func TestGood(t *testing.T) {
	files, err := run(t, protos(t, "testdata/good"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/good/want", files)
}

func TestBad(t *testing.T) {
	for _, name := range []string{"bad-methods", "bad-mesh", "bad-edge", "bad-facts", "bad-relationships", "bad-reach", "bad-partial", "bad-twins", "bad-reasons", "bad-exchanges"} {
		t.Run(name, func(t *testing.T) {
			files, err := run(t, protos(t, "testdata/"+name))
			if err == nil {
				t.Fatal("a bad contract generates")
			}
			if len(files) > 0 {
				t.Errorf("files were written beside problems: %v", slices.Sorted(maps.Keys(files)))
			}
			golden(t, "testdata/"+name+"/want", map[string]string{"problems.txt": err.Error() + "\n"})
		})
	}
}

// A fifth service that calls what every service may call changes nothing that belongs to another
// program but the list of its callers, and, as it has a route, the list of those that the gateway
// calls.
func TestFifthServiceTouchesNoOther(t *testing.T) {
	before, err := run(t, protos(t, "testdata/good"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := run(t, protos(t, "testdata/good", "testdata/billing"))
	if err != nil {
		t.Fatal(err)
	}
	var changed []string
	for name, text := range after {
		if own := strings.TrimSuffix(name, path.Ext(name)); before[name] != text && !strings.HasSuffix(own, "-billing") && !strings.HasSuffix(own, "/billing") {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	if want := []string{"acl/policies/gateway.hcl", "config-entries/10-service-defaults-gateway.json", "config-entries/30-service-intentions-stock.json", "mesh.json", "sources.json"}; !slices.Equal(changed, want) {
		t.Errorf("changed %v, want %v", changed, want)
	}
	diff := mesh.Compare(decode(t, before["mesh.json"]), decode(t, after["mesh.json"]))
	for _, cell := range diff.Allowed {
		if cell.Caller != "billing" && cell.Callee != "billing" {
			t.Errorf("%s is newly allowed", cell)
		}
	}
	if len(diff.Taken) > 0 {
		t.Errorf("taken away: %v", diff.Taken)
	}
	var text, markdown bytes.Buffer
	if err := diff.Text(&text); err != nil {
		t.Fatal(err)
	}
	if err := diff.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/billing/want", map[string]string{"diff.txt": text.String(), "diff.md": markdown.String()})
}

// The committed files are what the committed contracts say, and nothing else lies beside them.
func TestCommittedFilesAreCurrent(t *testing.T) {
	want, err := run(t, committed(t))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"mesh.json": read(t, filepath.Join(repository, mesh.File)), "sources.json": read(t, filepath.Join(repository, mesh.SourcesFile))}
	got["sources.json"] = strings.ReplaceAll(got["sources.json"], `"proto/`, `"protos/`) // run's folder
	for _, name := range []string{"config-entries/", "acl/", "acl/policies/", "acl/binding-rules/"} {
		maps.Copy(got, folder(t, filepath.Join(repository, "consul", name), name))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("consul/ is not what the contracts say: run buf generate and remove what is left over (-contracts +committed):\n%s", diff)
	}
}

// committed are the protos of the platform.
func committed(t *testing.T) map[string]string {
	t.Helper()
	root := filepath.Join(repository, "proto")
	sources := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "gatehouse"), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".proto" {
			return err
		}
		text, err := os.ReadFile(name)
		sources[filepath.ToSlash(strings.TrimPrefix(name, root+string(filepath.Separator)))] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// run compiles sources, by path, as buf does and hands them to the generator.
func run(t *testing.T, sources map[string]string, parameters ...string) (map[string]string, error) {
	t.Helper()
	roots := []string{"proto", "proto/third_party/googleapis", "proto/third_party/protovalidate"}
	for i := range roots {
		roots[i] = filepath.Join(repository, roots[i])
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(sources)},
			protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: roots}),
		},
		SourceInfoMode: protocompile.SourceInfoExtraOptionLocations,
	}
	names := slices.Sorted(maps.Keys(sources))
	compiled, err := compiler.Compile(t.Context(), names...)
	if err != nil {
		t.Fatal(err)
	}
	ask := &pluginpb.CodeGeneratorRequest{FileToGenerate: names, Parameter: proto.String(strings.Join(append(parameters, "source_root=protos"), ","))}
	seen := map[string]bool{}
	for _, file := range compiled {
		ask.ProtoFile = append(ask.ProtoFile, withImports(file, seen)...)
	}
	text, err := proto.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	ask = &pluginpb.CodeGeneratorRequest{} // as a plugin reads it: options become the linked Go types
	if err := proto.Unmarshal(text, ask); err != nil {
		t.Fatal(err)
	}
	var flags flag.FlagSet
	var o options
	flags.StringVar(&o.root, "source_root", "", "")
	flags.BoolVar(&o.code, "go", false, "")
	flags.BoolVar(&o.problems, "problems", false, "")
	plugin, err := protogen.Options{ParamFunc: flags.Set}.New(ask)
	if err != nil {
		t.Fatal(err)
	}
	problem := generate(plugin, o)
	files := map[string]string{}
	for _, file := range plugin.Response().GetFile() {
		files[file.GetName()] = file.GetContent()
	}
	return files, problem
}

func withImports(file protoreflect.FileDescriptor, seen map[string]bool) []*descriptorpb.FileDescriptorProto {
	if seen[file.Path()] {
		return nil
	}
	seen[file.Path()] = true
	var all []*descriptorpb.FileDescriptorProto
	for i := range file.Imports().Len() {
		all = append(all, withImports(file.Imports().Get(i).FileDescriptor, seen)...)
	}
	return append(all, protoutil.ProtoFromFileDescriptor(file))
}

func protos(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, name := range folders {
		maps.Copy(sources, folder(t, name, path.Base(name)+"/"))
	}
	return sources
}

// folder reads the files of one folder, without those below it.
func folder(t *testing.T, name, prefix string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(name)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		if !entry.IsDir() {
			files[prefix+entry.Name()] = read(t, filepath.Join(name, entry.Name()))
		}
	}
	return files
}

func golden(t *testing.T, name string, files map[string]string) {
	t.Helper()
	flat := map[string]string{}
	for file, text := range files {
		flat[path.Base(file)] = text
	}
	if *update {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, text := range flat {
			if err := os.WriteFile(filepath.Join(name, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(folder(t, name, ""), flat); diff != "" {
		t.Errorf("%s differs; if that is right, run the test with -update (-want +got):\n%s", name, diff)
	}
}

func decode(t *testing.T, text string) *mesh.Definition {
	t.Helper()
	d, err := mesh.Decode(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
