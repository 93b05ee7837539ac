// Package explain says why a program may call another one, or may not: which line of which contract,
// which rule of which config entry, and what the entry that runs says instead.
//
// Only the `mesh` commands import it.
package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Question is what somebody wants to know, in names of the definition.
type Question struct {
	Caller string
	Callee string
	Path   string // of one method, "/package.Service/Method"; empty for all that the callee has
}

// String is "caller -> callee", with the path when there is one.
func (q Question) String() string {
	if q.Path != "" {
		return q.Caller + " -> " + q.Path
	}
	return q.Caller + " -> " + q.Callee
}

// Ask makes a question of what somebody typed: the caller, and CALLEE[/METHOD], where METHOD is
// Method, Service/Method or the whole name, with which the callee may be left out. A name that there
// is not is an error that offers a near one.
func Ask(def *mesh.Definition, caller, called string) (Question, error) {
	q := Question{Caller: caller}
	if err := known(def, caller); err != nil {
		return q, err
	}
	callee, method, _ := strings.Cut(called, "/")
	if callee == "" || strings.Contains(callee, ".") { // a whole name
		path := "/" + strings.Trim(called, "/")
		for _, m := range def.Methods {
			if m.Path == path {
				callee, method = m.Callee, path
			}
		}
		if method != path {
			return q, unknown("method", path, paths(def, ""))
		}
	}
	if err := known(def, callee); err != nil {
		return q, err
	}
	q.Callee = callee
	if method = strings.Trim(method, "/"); method == "" {
		return q, nil
	}
	var err error
	q.Path, err = methodOf(def, callee, method)
	return q, err
}

// known finds a program or backing service.
func known(def *mesh.Definition, name string) error {
	var all []string
	for _, p := range def.Programs {
		all = append(all, p.Name)
	}
	for _, b := range def.Backings {
		all = append(all, b.Name)
	}
	if slices.Contains(all, name) {
		return nil
	}
	return unknown("program", name, all)
}

func methodOf(def *mesh.Definition, callee, name string) (string, error) {
	all := paths(def, callee)
	if len(all) == 0 {
		return "", fmt.Errorf("%s serves no gRPC methods: leave /%s out", callee, name)
	}
	var found []string
	for _, path := range all {
		if path == "/"+name || strings.HasSuffix(path, "/"+name) || strings.HasSuffix(path, "."+name) {
			found = append(found, path)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", unknown("method of "+callee, name, short(all, name))
	default:
		return "", fmt.Errorf("%s has several methods named %s: say which of %s", callee, name, strings.Join(found, ", "))
	}
}

// paths are the methods of a callee, or of all when it is empty.
func paths(def *mesh.Definition, callee string) []string {
	var all []string
	for _, m := range def.Methods {
		if callee == "" || m.Callee == callee {
			all = append(all, m.Path)
		}
	}
	return all
}

// short are the methods in the form in which one was named.
func short(paths []string, name string) []string {
	var all []string
	for _, path := range paths {
		service, method, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		switch {
		case !strings.Contains(name, "/"):
			all = append(all, method)
		case !strings.Contains(name, "."):
			all = append(all, service[strings.LastIndex(service, ".")+1:]+"/"+method)
		default:
			all = append(all, service+"/"+method)
		}
	}
	return all
}

func unknown(what, name string, all []string) error {
	if near, ok := config.Nearest(name, all); ok {
		return fmt.Errorf("no %s is named %q: did you mean %s?", what, name, near)
	}
	return fmt.Errorf("no %s is named %q: name one of %s", what, name, strings.Join(all, ", "))
}
