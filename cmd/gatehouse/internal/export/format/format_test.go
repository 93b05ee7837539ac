package format_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

const (
	source = "https://gatehouse.example"
	ada    = "8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01"
)

func decode(t *testing.T, text string) format.Event {
	t.Helper()
	e, err := format.Decode([]byte(text))
	check.NoError(t, err)
	return e
}

// of is an event of an action, to a user by another one.
func of(t *testing.T, action, kind string) format.Event {
	t.Helper()
	return decode(t, fmt.Sprintf(`{"id":"0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11","time":"2026-11-22T10:00:00.5Z","action":%q,"outcome":"success","occurrences":1,`+
		`"actor":{"type":"user","id":%q,"session_id":"s","client_id":"c"},"source":"identity","caller":"gateway","object_type":%q,"object_id":"o"}`, action, ada, kind))
}

func ocsf(t *testing.T, e format.Event) (o map[string]any) {
	t.Helper()
	line, err := format.Writer{Name: format.OCSF}.Line(e)
	check.NoError(t, err)
	check.NoError(t, json.Unmarshal(line, &o))
	return o
}

// Each action of the contracts has a class. The table has those with one of their own; a new one is
// API Activity until somebody gives it a better one.
func TestEveryActionHasAClass(t *testing.T) {
	c, err := contract.Load(protoregistry.GlobalFiles)
	check.NoError(t, err)
	kinds := map[string]string{}
	for _, m := range c.Methods() {
		if m.Audit.Action != "" {
			kinds[m.Audit.Action] = m.Audit.ObjectType
		}
	}
	if len(kinds) < 40 {
		t.Fatalf("only %d actions: the contracts are not linked", len(kinds))
	}
	// What no method states, because it is said where it happens.
	for _, action := range []string{"permission.denied", "auth.client_signed_in", "auth.sign_in_challenged", "auth.sign_up_requested", "thing.invented"} {
		kinds[action] = ""
	}
	actions := make([]string, 0, len(kinds))
	for action := range kinds {
		actions = append(actions, action)
	}
	slices.Sort(actions)
	table := "| action | class | activity |\n|---|---|---|\n"
	for _, action := range actions {
		o := ocsf(t, of(t, action, kinds[action]))
		if o["type_uid"] != o["class_uid"].(float64)*100+o["activity_id"].(float64) || o["activity_name"] == "" {
			t.Errorf("%s: class %v, type %v, activity %v %v", action, o["class_uid"], o["type_uid"], o["activity_id"], o["activity_name"])
		}
		if o["class_uid"] == 6003.0 { // where all those go that are not in the table
			continue
		}
		table += fmt.Sprintf("| %s | %v %v | %v %v |\n", action, o["class_uid"], o["class_name"], o["activity_id"], o["activity_name"])
	}
	golden.Check(t, "classes.md", table)
}

// Relationships of one user in one direction are privileges; all others are calls of the API.
func TestRelationshipsAsPrivileges(t *testing.T) {
	for changes, want := range map[string]string{
		`[{"field":"writes","json_value":["organization:1#member@user:a","organization:1#owner@user:a"]}]`:                                     "300501 a [organization:1#member organization:1#owner]",
		`[{"field":"deletes","value":"[\"organization:1#member@user:a\"]"}]`:                                                                   "300502 a [organization:1#member]",
		`[{"field":"writes","json_value":["organization:1#member@user:a","organization:1#member@user:b"]}]`:                                    "600303",
		`[{"field":"writes","json_value":["organization:1#member@group:g#member"]}]`:                                                           "600303",
		`[{"field":"writes","json_value":["organization:1#member@user:a"]},{"field":"deletes","json_value":["organization:1#member@user:a"]}]`: "600303",
		`[{"field":"delete_all_of","json_value":"organization:1"}]`:                                                                            "600303",
		`[]`: "600303",
	} {
		e := decode(t, `{"id":"1","time":"2026-11-22T10:00:00Z","action":"authz.relationships_written","outcome":"success","count":"1","source":"authz","changes":`+changes+`}`)
		o := ocsf(t, e)
		got := fmt.Sprint(int(o["type_uid"].(float64)))
		if user, ok := o["user"].(map[string]any); ok {
			got += fmt.Sprint(" ", user["uid"], " ", o["privileges"])
		}
		if got != want {
			t.Errorf("%s: %s, want %s", changes, got, want)
		}
	}
}

func TestOneEvent(t *testing.T) {
	raw := `{"id":"1","time":"2026-11-22T10:00:00.123456Z","action":"auth.signed_in","outcome":"failure","reason":"INVALID_CREDENTIALS","count":"3",` +
		`"actor":{"type":"anonymous"},"source":"auth","caller":"gateway","request_id":"r","client_address":"203.0.113.7","client_agent":"<curl>",` +
		`"changes":[{"field":"email","value":"\"eve@example.com\"","personal":true}]}`
	o := ocsf(t, decode(t, raw))
	if o["raw_data"] != raw {
		t.Errorf("raw_data is %v", o["raw_data"])
	}
	delete(o, "raw_data")
	text, err := json.MarshalIndent(o, "", "  ")
	check.NoError(t, err)
	golden.Check(t, "signed_in.json", string(text)+"\n")

	line, err := format.Writer{Name: format.CloudEvents, Source: source}.Line(of(t, "user.updated", "user"))
	check.NoError(t, err)
	if bytes.Count(line, []byte("\n")) != 1 || !bytes.HasSuffix(line, []byte("\n")) {
		t.Errorf("not one line: %q", line)
	}
	var cloud map[string]any
	check.NoError(t, json.Unmarshal(line, &cloud))
	if diff := cmp.Diff(ocsf(t, of(t, "user.updated", "user")), cloud["data"]); diff != "" {
		t.Errorf("the data is another event (-alone +in CloudEvents):\n%s", diff)
	}
	delete(cloud, "data")
	want := map[string]any{
		"specversion": "1.0", "id": "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11", "source": source, "type": "gatehouse.audit.user.updated", "subject": "user:o",
		"time": "2026-11-22T10:00:00.500000Z", "datacontenttype": "application/json", "dataschema": "https://schema.ocsf.io/schema/1.8.0/classes/entity_management",
	}
	if diff := cmp.Diff(want, cloud); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
}

// A message that is too long comes without the copy of the event, and says so; one that is too long
// even then is an error.
func TestLongEvents(t *testing.T) {
	e := decode(t, `{"id":"1","time":"2026-11-22T10:00:00Z","action":"user.updated","outcome":"success","occurrences":1,"source":"identity",`+
		`"changes":[{"field":"user.name","json_value":"`+strings.Repeat("x", 5000)+`"}]}`)
	for _, name := range []string{format.OCSF, format.CloudEvents} {
		w := format.Writer{Name: name, Source: source}
		whole, err := w.Line(e)
		check.NoError(t, err)
		if same, err := w.Within(e, len(whole)); err != nil || !bytes.Equal(same, whole) {
			t.Errorf("%s: what fits is changed: %s, %v", name, same, err)
		}
		short, err := w.Within(e, len(whole)-1)
		check.NoError(t, err)
		if len(short) > 2000 || !bytes.Contains(short, []byte(`"is_truncated":true`)) || !bytes.Contains(short, fmt.Appendf(nil, `"untruncated_size":%d`, len(whole))) {
			t.Errorf("%s: %s", name, short)
		}
		if _, err := w.Within(e, 100); err == nil || !strings.Contains(err.Error(), "allow larger") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An event that is damaged is told as one in every format.
func TestDamagedEvents(t *testing.T) {
	e := decode(t, `{"id":"1","time":"2026-11-22T10:00:00Z","action":"user.updated","outcome":"success","source":"identity","actor":{"id":"a"},"damaged":true}`)
	o := ocsf(t, e)
	if o["severity"] != "High" || o["status_detail"] != "damaged: what is stored is no event" || !strings.Contains(fmt.Sprint(o["raw_data"]), `"damaged":true`) {
		t.Errorf("OCSF: %v", o)
	}
	row, err := format.Writer{Name: format.CSV}.Line(e)
	if err != nil || !strings.HasSuffix(string(row), ",true\r\n") || !strings.HasSuffix(string(format.Writer{Name: format.CSV}.Header()), ",damaged\r\n") {
		t.Errorf("CSV: %q, %v", row, err)
	}
}

// A spreadsheet computes nothing from what people typed.
func TestCSV(t *testing.T) {
	w := format.Writer{Name: format.CSV}
	text := w.Header()
	agents := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "a\"b,c\r\nd", "plain=1"}
	for _, agent := range agents {
		quoted, err := json.Marshal(agent)
		check.NoError(t, err)
		line, err := w.Line(decode(t, `{"id":"1","time":"2026-11-22T10:00:00Z","action":"user.updated","outcome":"success","count":"1","client_agent":`+string(quoted)+
			`,"changes":[{"field":"user.name","json_value":"=x","value":"\"=x\""},{"field":"gone","personal":true,"json_value":null,"value":""}]}`))
		check.NoError(t, err)
		text = append(text, line...)
	}
	if lines := bytes.Count(text, []byte("\r\n")); lines != len(agents)+2 { // one is inside of a cell
		t.Errorf("%d line ends of RFC 4180", lines)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	check.NoError(t, err)
	agent, changes := slices.Index(rows[0], "client_agent"), slices.Index(rows[0], "changes")
	want := []string{"'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'＝1", "a\"b,c\nd", "plain=1"}
	for i, row := range rows[1:] {
		if row[agent] != want[i] || row[changes] != `[{"field":"user.name","value":"=x"},{"field":"gone","personal":true}]` {
			t.Errorf("%q is written as %q, changes %s", agents[i], row[agent], row[changes])
		}
	}
}

func TestWhatIsNoEventIsRefused(t *testing.T) {
	for _, text := range []string{`{`, `[]`, `{"count":"x"}`, `{"time":"yesterday"}`} {
		if _, err := format.Decode([]byte(text)); err == nil {
			t.Errorf("%s is an event", text)
		}
	}
}
