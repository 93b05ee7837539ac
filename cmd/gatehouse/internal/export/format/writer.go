package format

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Writer writes events in one format.
type Writer struct {
	Name   string // OCSF, CloudEvents or CSV
	Source string // of CloudEvents: the gateway's address, which makes ids unique
}

// Header is what stands before the first event.
func (w Writer) Header() []byte {
	if w.Name != CSV {
		return nil
	}
	text, _ := row(columns()) // into memory
	return text
}

// Line is one event with its line end.
func (w Writer) Line(e Event) ([]byte, error) {
	switch w.Name {
	case CSV:
		return row(w.cells(e))
	case CloudEvents:
		return line(w.envelope(e, ocsf(e)))
	default:
		return line(ocsf(e))
	}
}

// Within is Line in at most so many bytes: an event whose line would be longer comes without the
// copy of itself in raw_data, and says so. An error says that it is longer even so.
func (w Writer) Within(e Event, most int) ([]byte, error) {
	text, err := w.Line(e)
	if err != nil || len(text) <= most || w.Name == CSV {
		return text, err
	}
	o := shortened(ocsf(e), len(text))
	if w.Name == CloudEvents {
		o = w.envelope(e, o)
	}
	if text, err = line(o); err == nil && len(text) > most {
		return nil, fmt.Errorf("the event %s has %d bytes and cannot be cut to the %d that a message may have: allow larger ones", e.ID, len(text), most)
	}
	return text, err
}

// envelope is a CloudEvent of version 1.0 in its JSON format around an event. An id is that of the
// event: whoever gets one twice can tell.
func (w Writer) envelope(e Event, data object) object {
	c := object{
		"specversion": "1.0", "id": e.ID, "source": w.Source, "type": "gatehouse.audit." + e.Action,
		"time": e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), "datacontenttype": "application/json",
		"dataschema": "https://schema.ocsf.io/schema/" + OCSFVersion + "/classes/" + classify(e).class.name, "data": data,
	}
	if e.ObjectID != "" {
		c["subject"] = e.ObjectType + ":" + e.ObjectID
	}
	return c
}

func columns() []string {
	return []string{
		"id", "time", "action", "outcome", "reason", "actor_type", "actor_id", "session_id", "client_id", "source", "caller", "method",
		"organization_id", "object_type", "object_id", "request_id", "trace_id", "client_address", "client_agent", "count", "changes", "damaged",
	}
}

// cells are an event's, in the order of columns.
func (w Writer) cells(e Event) []string {
	changes := make([]object, len(e.Changes))
	for i, c := range e.Changes {
		changes[i] = object{"field": c.Field}
		if value := c.value(); value != nil {
			changes[i]["value"] = value
		}
		if c.Personal {
			changes[i]["personal"] = true
		}
	}
	text := ""
	if len(changes) > 0 {
		encoded, _ := json.Marshal(changes) // values are JSON
		text = string(encoded)
	}
	damaged := ""
	if e.Damaged {
		damaged = "true"
	}
	return []string{
		e.ID, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), e.Action, e.Outcome, e.Reason, e.Actor.Type, e.Actor.ID, e.Actor.SessionID,
		e.Actor.ClientID, e.Source, e.Caller, e.Method, e.OrganizationID, e.ObjectType, e.ObjectID, e.RequestID, e.TraceID, e.ClientAddress,
		e.ClientAgent, strconv.FormatInt(int64(e.Count), 10), text, damaged,
	}
}

// row is one line of RFC 4180.
func row(cells []string) ([]byte, error) {
	for i, c := range cells {
		cells[i] = harmless(c)
	}
	var text bytes.Buffer
	w := csv.NewWriter(&text)
	w.UseCRLF = true
	if err := w.Write(cells); err != nil {
		return nil, fmt.Errorf("write a row: %w", err)
	}
	w.Flush()
	return text.Bytes(), w.Error()
}

// harmless puts an apostrophe before what a spreadsheet would take for a formula: a cell that
// begins with one of = + - @, their wide forms, a tab or a line end (OWASP, CSV Injection).
func harmless(cell string) string {
	if strings.ContainsAny(firstOf(cell), "=+-@\t\r\n＝＋－＠") {
		return "'" + cell
	}
	return cell
}

func firstOf(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
