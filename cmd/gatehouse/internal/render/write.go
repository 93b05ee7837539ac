package render

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed *.tmpl
var templates embed.FS

// script is the file that applies all others.
const script = "apply.sh"

// addTexts adds what tells people and shells how to apply the rest.
func (s *Site) addTexts(Options) error {
	all, err := template.New("").Funcs(template.FuncMap{"sh": quote}).ParseFS(templates, "*.tmpl")
	if err != nil {
		return fmt.Errorf("read the templates: %w", err)
	}
	for _, name := range []string{script, "README.md"} {
		var text bytes.Buffer
		if err := all.ExecuteTemplate(&text, name+".tmpl", s); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		s.Files[name] = text.Bytes()
	}
	return nil
}

// quote makes one word for a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Write puts the files into a folder that is empty or not there yet: among files of an earlier
// definition, nobody would see which of them are left over.
func (s *Site) Write(folder string) error {
	there, err := os.ReadDir(folder)
	switch {
	case err == nil && len(there) > 0:
		return fmt.Errorf("%s is not empty: name a folder that is, or that is not there yet", folder)
	case err != nil && !os.IsNotExist(err):
		return fmt.Errorf("read %s: %w", folder, err)
	}
	for name, content := range s.Files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return fmt.Errorf("make the folder of %s: %w", name, err)
		}
		mode := os.FileMode(0o644)
		if name == script {
			mode = 0o755
		}
		if err := os.WriteFile(path, content, mode); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
