package model_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// file is OpenFGA's store test format, as `fga model test` reads it; what is not here is refused.
type file struct {
	Name      string  `yaml:"name"`
	ModelFile string  `yaml:"model_file"`
	Tuples    []tuple `yaml:"tuples"`
	Tests     []world `yaml:"tests"`
}

type tuple struct {
	User     string `yaml:"user"`
	Relation string `yaml:"relation"`
	Object   string `yaml:"object"`
}

type world struct {
	Name        string       `yaml:"name"`
	Description string       `yaml:"description"`
	Tuples      []tuple      `yaml:"tuples"` // beside those of the file
	Check       []check      `yaml:"check"`
	ListObjects []objectList `yaml:"list_objects"`
	ListUsers   []userList   `yaml:"list_users"`
}

type check struct {
	User       string          `yaml:"user"`
	Users      []string        `yaml:"users"`
	Object     string          `yaml:"object"`
	Objects    []string        `yaml:"objects"`
	Assertions map[string]bool `yaml:"assertions"`
}

type objectList struct {
	User       string              `yaml:"user"`
	Type       string              `yaml:"type"`
	Assertions map[string][]string `yaml:"assertions"`
}

type userList struct {
	Object     string `yaml:"object"`
	UserFilter []struct {
		Type string `yaml:"type"`
	} `yaml:"user_filter"`
	Assertions map[string]struct {
		Users []string `yaml:"users"`
	} `yaml:"assertions"`
}

// The text files beside the model, run by the engine of the program on a real database.
func TestModel(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.fga.yaml")
	if err != nil || len(names) < 4 {
		t.Fatalf("found %d test files, %v", len(names), err)
	}
	for _, name := range names {
		f := read(t, name)
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			engine := fgatest.New(t)
			write(t, engine, f.Tuples, nil)
			for _, w := range f.Tests {
				t.Run(w.Name, func(t *testing.T) {
					write(t, engine, w.Tuples, nil)
					w.run(t, engine)
					write(t, engine, nil, w.Tuples)
				})
			}
		})
	}
}

func read(t *testing.T, name string) file {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var f file
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if f.Name == "" || f.ModelFile != "./gatehouse.fga" || len(f.Tests) == 0 {
		t.Fatalf("%s: give it a name, this model and tests", name)
	}
	return f
}

func write(t *testing.T, engine *fga.Engine, add, remove []tuple) {
	t.Helper()
	of := func(all []tuple) (changed []relation.Tuple) {
		for _, w := range all {
			changed = append(changed, relation.Tuple{Object: w.Object, Relation: w.Relation, Subject: w.User})
		}
		return changed
	}
	if err := engine.Write(t.Context(), of(add), of(remove)); err != nil {
		t.Fatal(err)
	}
}

func (w world) run(t *testing.T, engine *fga.Engine) {
	for _, c := range w.Check {
		for _, user := range append(c.Users, one(c.User)...) {
			for _, object := range append(c.Objects, one(c.Object)...) {
				c.assert(t, engine, user, object)
			}
		}
	}
	for _, l := range w.ListObjects {
		for name, want := range l.Assertions {
			got, err := engine.ListObjects(t.Context(), l.User, name, l.Type)
			slices.Sort(want)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("objects of type %s to which %s is %s: %v, %v; want %v", l.Type, l.User, name, got, err, want)
			}
		}
	}
	for _, l := range w.ListUsers {
		for name, want := range l.Assertions {
			got, err := engine.ListSubjects(t.Context(), l.Object, name, l.UserFilter[0].Type)
			slices.Sort(want.Users)
			if err != nil || !slices.Equal(got, want.Users) {
				t.Errorf("subjects that are %s of %s: %v, %v; want %v", name, l.Object, got, err, want.Users)
			}
		}
	}
}

// assert asks all relations of the case in one batch.
func (c check) assert(t *testing.T, engine *fga.Engine, user, object string) {
	t.Helper()
	var asked []fga.Question
	for _, name := range slices.Sorted(maps.Keys(c.Assertions)) {
		asked = append(asked, fga.Question{Relation: name, Object: object})
	}
	got, err := engine.Check(t.Context(), user, asked)
	if err != nil {
		t.Errorf("%s on %s: %v", user, object, err)
		return
	}
	for i, q := range asked {
		if got[i] != c.Assertions[q.Relation] {
			t.Errorf("%s is %s of %s: %t, want %t", user, q.Relation, object, got[i], c.Assertions[q.Relation])
		}
	}
}

func one(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}
