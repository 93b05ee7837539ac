package nomad_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Jobs that operators copy are ones that Nomad takes, written as Nomad formats them: their tasks
// run as nobody, and no secret is in them.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("examples/*" + ".nomad.hcl")
	check.NoError(t, err)
	if len(files) == 0 {
		t.Fatal("there are no examples")
	}
	for _, name := range files {
		file, err := filepath.Abs(name)
		check.NoError(t, err)
		if out, err := command(t, "fmt", "-check", file); err != nil || out != "" {
			t.Errorf("%s is not as `nomad fmt` writes it: %v %s", file, err, out)
		}
		out, err := command(t, "job", "run", "-output", "-hcl2-strict", file)
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
		var printed struct{ Job job }
		check.NoError(t, json.Unmarshal([]byte(out), &printed))
		for _, group := range printed.Job.TaskGroups {
			for _, task := range group.Tasks {
				if task.Driver != "exec" || task.User != "nobody" {
					t.Errorf("%s: task %s has the driver %s and the user %q", file, task.Name, task.Driver, task.User)
				}
				files := []string{}
				for _, template := range task.Templates {
					files = append(files, template.Perms)
				}
				if len(files) == 0 || slices.ContainsFunc(files, func(perms string) bool { return perms != "0400" }) {
					t.Errorf("%s: secrets with the permissions %v", file, files)
				}
			}
		}
	}
}
