package clients_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const node = "Node.js 20.19 or newer"

// The served document passes redocly's recommended rules without a warning, and a TypeScript client
// that hey-api generates from it compiles with --strict and does what its program says.
func TestTheDocumentAndATypeScriptClient(t *testing.T) {
	need(t, "node", node)
	need(t, "npm", node)
	p := copied(t, "api", onThePlatform(t)...)
	p.document(t)
	p.env = append(p.env, "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	p.run(t, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	t.Run("redocly", func(t *testing.T) {
		out := p.run(t, "node_modules/.bin/redocly", "lint", "--config", "redocly.yaml", "--format", "json", "openapi.json")
		var found struct {
			Totals struct{ Errors, Warnings int }
		}
		check.NoError(t, json.Unmarshal(out, &found))
		if found.Totals.Errors+found.Totals.Warnings > 0 {
			t.Errorf("redocly found something:\n%s", out)
		}
	})
	t.Run("typescript", func(t *testing.T) {
		p.run(t, "node_modules/.bin/openapi-ts")
		p.run(t, "node_modules/.bin/tsc")
		p.run(t, "node", "dist/client.js")
	})
}

// A Go client that oapi-codegen generates compiles, and does what its program says.
func TestAGoClient(t *testing.T) {
	p := copied(t, "api/go", onThePlatform(t)...)
	p.document(t)
	check.NoError(t, os.Mkdir(filepath.Join(p.dir, "gatehouse"), 0o755))
	p.env = append(p.env, "GOFLAGS=-mod=readonly", "GOWORK=off")
	p.run(t, "go", "tool", "oapi-codegen", "--config", "oapi-codegen.yaml", "openapi.json")
	p.run(t, "go", "vet", "./...")
	p.run(t, "go", "run", ".")
}

// document puts the served document into the folder.
func (p program) document(t *testing.T) {
	t.Helper()
	resp, err := http.Get(url(t) + "/openapi.json")
	check.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the document: status %d", resp.StatusCode)
	}
	check.NoError(t, os.WriteFile(filepath.Join(p.dir, "openapi.json"), text, 0o644))
}
