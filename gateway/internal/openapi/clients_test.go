package openapi_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

type operation struct {
	OperationID, Summary, Description string
	Tags                              []string
	Parameters                        []struct {
		Ref string `json:"$ref"`
	}
	RequestBody struct {
		Content map[string]struct{ Schema map[string]any }
	}
	Responses map[string]response
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct{ Schema map[string]any }
	Headers     map[string]any
	Reasons     []string `json:"x-reasons"`
}

type served struct {
	Servers []struct {
		URL       string
		Variables map[string]any
	}
	Paths      map[string]map[string]operation
	Components struct {
		Schemas    map[string]map[string]any
		Responses  map[string]response
		Parameters map[string]struct{ Schema map[string]any }
	}
}

func document(t *testing.T) served {
	t.Helper()
	var d served
	if err := json.Unmarshal(build(t), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Whatever a generator makes names of is a name: of a method, of a type, of a line in a list.
func TestNamesAreForPrograms(t *testing.T) {
	d := document(t)
	word, ids := regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`), map[string]bool{}
	for path, item := range d.Paths {
		for verb, o := range item {
			if !regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`).MatchString(o.OperationID) || ids[o.OperationID] {
				t.Errorf("%s %s is the operation %q, which is no name, or is there twice", verb, path, o.OperationID)
			}
			ids[o.OperationID] = true
			if o.Summary == "" || utf8.RuneCountInString(o.Summary) > 80 || strings.ContainsAny(o.Summary, "\n") || !strings.HasPrefix(o.Description, o.Summary[:5]) {
				t.Errorf("%s: summary %q, description %q", o.OperationID, o.Summary, o.Description)
			}
			for media, content := range o.RequestBody.Content {
				reference, _ := content.Schema["$ref"].(string)
				if lines, ok := content.Schema["contentSchema"].(map[string]any); ok {
					reference, _ = lines["$ref"].(string)
				}
				if reference == "" {
					t.Errorf("%s: the body %s has no name", o.OperationID, media)
				}
			}
		}
	}
	for name := range d.Components.Schemas {
		operation, answer := strings.CutSuffix(name, "Response")
		if !word.MatchString(name) || answer && ids[strings.ToLower(operation[:1])+operation[1:]] {
			t.Errorf("component %s is no name of a type, or that of what generators make of an operation's answers", name)
		}
	}
}

// Each operation says for which reasons it refuses; what follows from its contract is not missing.
func TestRefusalsHaveReasons(t *testing.T) {
	d := document(t)
	reasons := func(r response) []string {
		if r.Ref != "" {
			r = d.Components.Responses[r.Ref[strings.LastIndex(r.Ref, "/")+1:]]
		}
		if r.Content["application/problem+json"].Schema["$ref"] != "#/components/schemas/Problem" {
			t.Errorf("a refusal is %v, want a problem document", r.Content)
		}
		for _, reason := range r.Reasons {
			if !strings.Contains(r.Description, "`"+reason+"`") {
				t.Errorf("the description %q does not name %s", r.Description, reason)
			}
		}
		return r.Reasons
	}
	for _, item := range d.Paths {
		for _, o := range item {
			for status, r := range o.Responses {
				if given := reasonsUnlessSuccess(status, r, reasons); status[0] == '4' && len(given) == 0 {
					t.Errorf("%s answers %s for no reason", o.OperationID, status)
				}
			}
			if _, ok := o.Responses["default"]; !ok {
				t.Errorf("%s does not say what else it answers", o.OperationID)
			}
		}
	}
	for id, want := range map[string]string{
		"signIn 401": "INVALID_CREDENTIALS", "signUp 409": "EMAIL_TAKEN", "updateUser 412": "ETAG_MISMATCH", "getUser 404": "USER_NOT_FOUND",
		"listUsers 401": "TOKEN_EXPIRED", "createUser 403": "PERMISSION_DENIED", "updateUser 400": "UNKNOWN_FIELD", "deleteUser 429": "RATE_LIMITED",
	} {
		name, status, _ := strings.Cut(id, " ")
		if got := reasons(find(t, d, name).Responses[status]); !slices.Contains(got, want) {
			t.Errorf("%s: %v lacks %s", id, got, want)
		}
	}
}

func reasonsUnlessSuccess(status string, r response, reasons func(response) []string) []string {
	if status[0] == '2' {
		return nil
	}
	return reasons(r)
}

func find(t *testing.T, d served, id string) operation {
	t.Helper()
	for _, item := range d.Paths {
		for _, o := range item {
			if o.OperationID == id {
				return o
			}
		}
	}
	t.Fatalf("there is no operation %s", id)
	return operation{}
}

// A stream is no message: a client that decoded the whole of it as one would wait for its end, and
// then fail.
func TestStreamsAreSequences(t *testing.T) {
	d := document(t)
	for id, form := range map[string]string{"watchUsers": "application/x-ndjson", "tailEvents": "text/event-stream"} {
		if schema := find(t, d, id).Responses["200"].Content[form].Schema; schema["type"] != "string" || schema["contentSchema"] == nil {
			t.Errorf("%s answers %s as %v", id, form, schema)
		}
	}
	if schema := find(t, d, "importUsers").RequestBody.Content["application/x-ndjson"].Schema; schema["type"] != "string" {
		t.Errorf("importUsers takes %v", schema)
	}
}

// What a client may send has its form in the document: headers, and the fields that are not the
// platform's to say.
func TestFormsOfWhatClientsSend(t *testing.T) {
	d := document(t)
	for parameter, values := range map[string]map[string]bool{
		"IfMatch":          {`"abc"`: true, `*`: true, `abc`: false, `""`: false, `W/"abc"`: false, `"a", "b"`: false},
		"ConsistencyToken": {"cAAAAA_-9": true, "a b": false, "": false, "a=": false},
	} {
		pattern, _ := d.Components.Parameters[parameter].Schema["pattern"].(string)
		for value, want := range values {
			if got := regexp.MustCompile(pattern).MatchString(value); got != want {
				t.Errorf("%s admits %s: %t, want %t", parameter, value, got, want)
			}
		}
	}
	body := d.Components.Schemas["UpdateUserRequest"]
	properties, _ := body["properties"].(map[string]any)
	for _, field := range []string{"id", "email", "etag", "create_time"} {
		if properties[field] != nil {
			t.Errorf("a client may send %s", field)
		}
	}
	if body["additionalProperties"] != false || properties["display_name"] == nil {
		t.Errorf("the body of updateUser is %v", body)
	}
	if required, _ := d.Components.Schemas["SignInResult"]["required"].([]any); !slices.Contains(required, any("access_token")) {
		t.Errorf("an answer of signIn has %v for sure", required)
	}
	if len(d.Servers) != 2 || d.Servers[0].URL != "http://localhost:8080" || d.Servers[1].Variables["host"] == nil {
		t.Errorf("servers: %v", d.Servers)
	}
}
