package platform

import (
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// unit is what has a sidecar: an instance of a program, or a backing service.
type unit struct {
	id      string // among the processes, and behind the prefix in Consul: "identity", "identity-2"
	name    string // of the program or backing service: whose service, token and rules it has
	number  int    // of the instance, from 1
	backing bool
	health  plan.Health // of an instance
	public  int         // port of its sidecar
	admin   int         // port of its sidecar's admin
}

// units are all of the platform.
func (p *Platform) units() []unit { return append(p.instances(), p.backings()...) }

// instances are those of all programs.
func (p *Platform) instances() []unit {
	var all []unit
	for _, i := range p.opts.Definition.Instances(p.opts.Scale) {
		all = append(all, unit{id: i.ID(), name: i.Name, number: i.Number, health: plan.HealthOf(i.Program), public: i.Public, admin: i.Admin})
	}
	return all
}

// backings are the backing services.
func (p *Platform) backings() []unit {
	var all []unit
	for _, b := range p.opts.Definition.Backings {
		all = append(all, unit{id: b.Name, name: b.Name, number: 1, backing: true, public: b.Public, admin: b.Admin})
	}
	return all
}

// process is a task of an instance.
type process struct {
	plan.Task

	of unit
}

// id names the process, and its log, among all of the platform.
func (p process) id() string { return mesh.InstanceID(p.Process(), p.of.number) }

// processes are those of a stage. Every instance serves; the first of each program does the rest
// for all.
func (p *Platform) processes(verb string) []process {
	var all []process
	for _, task := range p.plan.Stage(verb) {
		for _, u := range p.instances() {
			if u.name == task.Program && (u.number == 1 || verb == plan.Serve) {
				all = append(all, process{Task: task, of: u})
			}
		}
	}
	return all
}
