package openapi_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/gatehouse/gatehouse/gateway/internal/openapi"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

var update = flag.Bool("update", false, "write the golden file")

const golden = "testdata/openapi.json"

func build(t *testing.T) []byte {
	t.Helper()
	c := meshtest.Contract(t)
	document, err := openapi.Build(openapi.Source{Files: openapi.Generated(), Contract: c, Version: "test", Issuer: "http://localhost:8080"})
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestDocumentIsTheGoldenOne(t *testing.T) {
	got := build(t)
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the document changed; if it should, run the test with -update:\n%s", diff)
	}
}

func TestDocumentIsValidOpenAPI(t *testing.T) {
	document, err := libopenapi.NewDocument(build(t))
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	for _, err := range errs {
		t.Fatal(err)
	}
	defer v.Release()
	if ok, problems := v.ValidateDocument(); !ok {
		for _, p := range problems {
			t.Errorf("%s: %s", p.Message, p.Reason)
		}
	}
}

// Only routes of the contracts, with their rules: nothing of the mesh-only services, no camel case, no foreign error shape.
func TestDocumentSaysWhatTheContractsSay(t *testing.T) {
	text := string(build(t))
	var document struct {
		Paths map[string]map[string]struct {
			Security  []map[string]any
			Responses map[string]any
		}
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	c := meshtest.Contract(t)
	routed, operations := 0, 0
	for _, m := range c.Methods() {
		if m.Route != nil && !m.Exchange {
			routed++
		}
	}
	for path, item := range document.Paths {
		operations += len(item)
		for verb, operation := range item {
			public := strings.HasPrefix(path, "/api/v1/auth/") && path != "/api/v1/auth/sign-out"
			if public != (len(operation.Security) == 0) {
				t.Errorf("%s %s: security %v", verb, path, operation.Security)
			}
		}
	}
	if routed == 0 || operations != routed {
		t.Errorf("%d operations for %d routes", operations, routed)
	}
	signUp := document.Paths["/api/v1/auth/sign-up"]["post"].Responses
	if signUp["201"] == nil || signUp["202"] == nil ||
		document.Paths["/api/v1/auth/sign-out"]["post"].Responses["204"] == nil {
		t.Error("the statuses of the contract are missing")
	}
	for _, stranger := range []string{"displayName", "updateMask", "google.rpc.Status", "GetKeySet", "DirectoryService", "SealedEvent"} {
		if strings.Contains(text, stranger) {
			t.Errorf("the document mentions %s", stranger)
		}
	}
}

// An import takes lines and is answered with one message: what sends application/json is refused.
func TestDocumentOfLines(t *testing.T) {
	type response struct {
		Content, Headers map[string]any
	}
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody struct{ Content map[string]any }
			Responses   map[string]response
		}
	}
	if err := json.Unmarshal(build(t), &document); err != nil {
		t.Fatal(err)
	}
	operation := document.Paths["/api/v1/users:import"]["post"]
	for what, c := range map[string]struct {
		got  map[string]any
		want string
	}{
		"request":  {operation.RequestBody.Content, "application/x-ndjson"},
		"response": {operation.Responses["200"].Content, "application/json"},
		"refusal":  {operation.Responses["default"].Content, "application/problem+json"},
	} {
		if len(c.got) != 1 || c.got[c.want] == nil {
			t.Errorf("the %s is %v, want %s", what, c.got, c.want)
		}
	}
	for status, r := range operation.Responses {
		if r.Headers["Gatehouse-Stored-Messages"] == nil {
			t.Errorf("%s does not say how much is stored", status)
		}
	}
	if got := document.Paths["/api/v1/users:watch"]["get"].Responses["200"].Content; got["text/event-stream"] == nil || got["application/json"] != nil {
		t.Errorf("a stream is answered as %v", got)
	}
}

// Files that are older than the contracts stop the start instead of describing another API.
func TestOldGeneratedFilesAreAnError(t *testing.T) {
	c := meshtest.Contract(t)
	if _, err := openapi.Build(openapi.Source{Files: fstest.MapFS{}, Contract: c}); err == nil || !strings.Contains(err.Error(), "make generate") {
		t.Errorf("missing operations: %v", err)
	}
}
