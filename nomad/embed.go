// Package nomad holds the jobs of the platform. Operators give them to Nomad's own command, the
// development cluster to its API.
package nomad

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed jobs/*.nomad.hcl
var jobs embed.FS

// Development are the values of the jobs' variables on the development cluster, but for the trust
// domain.
//
//go:embed vars/dev.hcl
var Development string

// suffix ends the name of a job's file.
const suffix = ".nomad.hcl"

// Jobs returns the text of every job by its name.
func Jobs() (map[string]string, error) {
	files, err := fs.Glob(jobs, "jobs/*"+suffix)
	if err != nil {
		return nil, fmt.Errorf("list the jobs: %w", err)
	}
	all := map[string]string{}
	for _, file := range files {
		text, err := jobs.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the job %s: %w", file, err)
		}
		all[strings.TrimSuffix(strings.TrimPrefix(file, "jobs/"), suffix)] = string(text)
	}
	return all, nil
}
