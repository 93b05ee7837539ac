// Package plan says what each program of the mesh needs to run: its processes in their order, their
// environment with the source of every value, its secrets, its database roles and schemas, and how
// its health is asked.
//
// It follows from the definition alone and knows no machine: addresses are ports, secrets are
// names, what only the machine knows is named by its source. `gatehouse up` executes it, and
// Nomad's jobs are compared with it (package nomad).
package plan

import (
	"fmt"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Plan is what all programs need.
type Plan struct {
	Programs []Program // in the order of the definition
}

// Program is what one program needs. Its sidecar, with the upstreams of the definition, runs before
// its tasks and after them.
type Program struct {
	mesh.Program

	Health   Health
	Database *Database // nil without one
	Tasks    []Task    // in their order: the last one serves
}

// Verbs of a program.
const (
	Migrate = "migrate" // brings the schemas to the program's version and ends
	Keep    = "keep"    // stays beside Serve, and does day by day what only the owner of the schemas may
	Serve   = "serve"
)

// Task is one process of a program.
type Task struct {
	Program string
	Verb    string
	Role    string // of the database; empty without one
	Env     []Variable
}

// Process is the name of the task among all processes of a platform. A migration is a process of
// its own, for it may do what the serving program may not.
func (t Task) Process() string {
	if t.Verb == Serve {
		return t.Program
	}
	return t.Program + "-" + t.Verb
}

// Health is how a program is asked whether it serves: on its gRPC port, or over HTTP.
type Health struct {
	Port int
	Path string // of the HTTP request that 200 answers; empty for the gRPC health service
}

// HealthOf returns how a program is asked.
func HealthOf(p mesh.Program) Health {
	if p.Edge {
		return Health{Port: p.OpsPort, Path: "/readyz"}
	}
	return Health{Port: p.Port}
}

// Of derives the plan of a mesh.
func Of(def *mesh.Definition) *Plan {
	plan := &Plan{}
	for _, p := range def.Programs {
		program := Program{Program: p, Health: HealthOf(p), Database: databaseOf(p)}
		if program.Database != nil {
			program.Tasks = append(program.Tasks, task(program, Migrate, program.Database.Owner().Name))
			if !program.Database.Serving().Owner { // whose program can do nothing of that while it serves
				program.Tasks = append(program.Tasks, task(program, Keep, program.Database.Owner().Name))
			}
			program.Tasks = append(program.Tasks, task(program, Serve, program.Database.Serving().Name))
		} else {
			program.Tasks = append(program.Tasks, task(program, Serve, ""))
		}
		plan.Programs = append(plan.Programs, program)
	}
	return plan
}

// Program returns the program of that name.
func (p *Plan) Program(name string) (Program, error) {
	for _, program := range p.Programs {
		if program.Name == name {
			return program, nil
		}
	}
	return Program{}, fmt.Errorf("the plan has no program named %q", name)
}

// Task returns the task with that verb.
func (p Program) Task(verb string) (Task, error) {
	for _, t := range p.Tasks {
		if t.Verb == verb {
			return t, nil
		}
	}
	return Task{}, fmt.Errorf("%s has nothing to %s", p.Name, verb)
}

// Stage is every task with one verb: they run side by side, and a stage begins when all of the one
// before have ended.
func (p *Plan) Stage(verb string) []Task {
	var tasks []Task
	for _, program := range p.Programs {
		if t, err := program.Task(verb); err == nil {
			tasks = append(tasks, t)
		}
	}
	return tasks
}
