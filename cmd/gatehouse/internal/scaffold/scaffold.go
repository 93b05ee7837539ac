// Package scaffold writes a new service into a checkout, as a service should look: its contract, its
// Nomad job, and below services/ everything that serves it.
//
// Only the command line imports it.
package scaffold

import (
	"bytes"
	"embed"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/outbox"
)

//go:embed all:template
var templates embed.FS

// placeholder is the service's name in the paths of the templates.
const placeholder = "NAME"

// service is what the templates know.
type service struct {
	Name          string // mesh name, also of the schema, the role and the packages
	Title         string // of it in prose
	Port, OpsPort int
	Outbox        string // statements that make its tables
	Migrations    []migration

	def *mesh.Definition
}

// Upstream is the port of the new service's sidecar that leads to another program or backing
// service.
func (s *service) Upstream(name string) (int, error) {
	var slot int
	if p, err := s.def.Program(name); err == nil {
		slot = p.Slot
	} else if b, err := s.def.Backing(name); err == nil {
		slot = b.Slot
	} else {
		return 0, err
	}
	return mesh.FirstUpstream + 20*(s.Port-mesh.FirstPort) + slot, nil
}

// Service writes the service of that name into the checkout and returns the files that are new, as
// paths in it. Nothing that exists is changed. A refusal is one sentence and writes nothing.
func Service(root, name string) ([]string, error) {
	if err := check(root, name); err != nil {
		return nil, err
	}
	port, err := freePort(root)
	if err != nil {
		return nil, err
	}
	def, err := consul.Definition()
	if err != nil {
		return nil, err
	}
	s := service{
		def: def, Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Port: port, OpsPort: port - mesh.FirstPort + mesh.FirstOpsPort,
		Outbox: outbox.DDL(name),
	}
	files, err := s.render()
	if err != nil {
		return nil, err
	}
	return write(root, files)
}

// file is one new file.
type file struct {
	path string // in the checkout
	text []byte
}

// render makes all files. Migrations come first: a test of the service holds their hashes.
func (s *service) render() ([]file, error) {
	var files []file
	for _, sql := range []bool{true, false} {
		err := fs.WalkDir(templates, "template", func(name string, entry fs.DirEntry, err error) error {
			target := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(name, "template/"), ".tmpl"), placeholder, s.Name)
			if err != nil || entry.IsDir() || (path.Ext(target) == ".sql") != sql {
				return err
			}
			text, err := s.execute(name)
			if err != nil {
				return fmt.Errorf("make %s: %w", target, err)
			}
			if sql {
				s.Migrations = append(s.Migrations, migrationOf(path.Base(target), text))
			}
			files = append(files, file{path: target, text: text})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// execute fills in one template. Its delimiters are none of Go's, SQL's or a proto's.
func (s *service) execute(name string) ([]byte, error) {
	raw, err := templates.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Delims("<<", ">>").Option("missingkey=error").Parse(string(raw))
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".go.tmpl") {
		return format.Source(text.Bytes()) // alignment depends on the length of the name
	}
	return text.Bytes(), nil
}

// write creates the files, each where nothing was.
func write(root string, files []file) ([]string, error) {
	var paths []string
	for _, f := range files {
		target := filepath.Join(root, filepath.FromSlash(f.path))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { //nolint:gosec // source code, for everybody
			return nil, fmt.Errorf("make the folder of %s: %w", f.path, err)
		}
		created, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // source code, for everybody
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", f.path, err)
		}
		_, err = created.Write(f.text)
		if closeErr := created.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", f.path, err)
		}
		paths = append(paths, f.path)
	}
	return paths, nil
}
