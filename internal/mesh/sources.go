package mesh

import (
	"encoding/json"
	"fmt"
	"io"
	"path"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// SourcesFile is where the generated sources lie, beside File. They are apart from it, or a comment
// in a proto would change the definition that programs are built with.
const SourcesFile = "consul/sources.json"

// Sources says where the contracts state what the definition has, as "file:line", for people.
type Sources struct {
	Programs map[string]ProgramSource `json:"programs"` // by name
	Methods  map[string]MethodSource  `json:"methods"`  // by path
}

// ProgramSource is where a program says what it calls.
type ProgramSource struct {
	Calls string            `json:"calls"`          // the list, or where it would be
	Needs string            `json:"needs"`          // the same of backing services
	Said  map[string]string `json:"said,omitempty"` // by method path or name of a backing service
}

// MethodSource is where a method says who may call it.
type MethodSource struct {
	At    string            `json:"at"`              // the RPC
	Route string            `json:"route,omitempty"` // by which the edge calls it
	Allow string            `json:"allow"`           // the list of consents, or where it would be
	Said  map[string]string `json:"said,omitempty"`  // by program, or contract.EveryService
}

// Consent is where a method consents to a program, by its name or by a word for all, and false when
// it does not.
func (m MethodSource) Consent(program string) (where string, ok bool) {
	for _, word := range []string{program, contract.EveryService} {
		if where, ok = m.Said[word]; ok {
			return where, true
		}
	}
	return "", false
}

// SourcesOf collects the places of a contract whose descriptors carry source information. root is
// the folder of the protos, put before their paths.
func SourcesOf(c *contract.Contract, root string) *Sources {
	place := func(p contract.Position) string {
		file := path.Join(root, p.File)
		if p.Line == 0 {
			return file
		}
		return fmt.Sprintf("%s:%d", file, p.Line)
	}
	s := &Sources{Programs: map[string]ProgramSource{}, Methods: map[string]MethodSource{}}
	for _, p := range c.Programs {
		source := ProgramSource{Calls: place(p.CallsAt()), Needs: place(p.NeedsAt()), Said: map[string]string{}}
		for _, call := range p.Calls {
			source.Said[call] = place(p.CallAt(call))
		}
		for _, need := range p.Needs {
			source.Said[need] = place(p.NeedAt(need))
		}
		s.Programs[p.Name] = source
	}
	for _, m := range c.Methods() {
		if m.Program == "" {
			continue
		}
		source := MethodSource{At: place(m.At()), Allow: place(m.AllowAt()), Said: map[string]string{}}
		if m.Route != nil {
			source.Route = place(m.RouteAt())
		}
		words := m.Allow
		if m.EveryService {
			words = append([]string{contract.EveryService}, words...)
		}
		for _, word := range words {
			source.Said[word] = place(m.ConsentAt(word))
		}
		s.Methods[m.FullName] = source
	}
	return s
}

// Encode returns the sources as consul/sources.json holds them.
func (s *Sources) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the sources of the mesh: %w", err)
	}
	return append(text, '\n'), nil
}

// DecodeSources reads sources as Encode wrote them.
func DecodeSources(r io.Reader) (*Sources, error) {
	var s Sources
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("decode the sources of the mesh: %w", err)
	}
	return &s, nil
}
