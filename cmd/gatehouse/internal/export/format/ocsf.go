package format

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"strings"
)

// OCSFVersion is the version of the Open Cybersecurity Schema Framework that events are written in.
const OCSFVersion = "1.8.0"

type object = map[string]any

// ocsf returns the event in the Open Cybersecurity Schema Framework (schema.ocsf.io), base event of
// 1.8.0 and five classes, without profiles. raw_data is the whole event as the API tells it.
func ocsf(e Event) object {
	a := classify(e)
	o := object{
		"activity_id": a.id, "activity_name": a.caption,
		"category_uid": a.class.category, "category_name": map[int]string{3: "Identity & Access Management", 6: "Application Activity"}[a.class.category],
		"class_uid": a.class.uid, "class_name": a.class.caption,
		"type_uid": a.class.uid*100 + a.id, "type_name": a.class.caption + ": " + a.caption,
		"time": e.Time.UnixMilli(), "message": strings.TrimSpace(e.Action + " " + e.Outcome + " " + e.Reason),
		"metadata": metadata(e), "raw_data": string(e.raw), "src_endpoint": endpoint(e),
	}
	status(o, e)
	if e.Damaged {
		o["severity_id"], o["severity"], o["status_detail"] = 4, "High", "damaged: what is stored is no event"
	}
	if e.Count > 1 {
		o["count"] = int64(e.Count)
	}
	if actor := actorOf(e); actor != nil {
		o["actor"] = actor
	}
	if e.ClientAgent != "" {
		o["http_request"] = object{"user_agent": e.ClientAgent}
	}
	switch a.class {
	case authentication():
		o["user"], o["service"] = userOf(e), object{"name": e.Source}
		if e.Actor.SessionID != "" {
			o["session"] = object{"uid": e.Actor.SessionID}
		}
	case accountChange():
		o["user"] = userOf(e)
	case userAccess():
		user, privileges, _ := granted(e)
		o["user"], o["privileges"] = object{"uid": user, "type_id": 1, "type": "User"}, privileges
		if r := resource(e); r != nil {
			o["resources"] = []object{r}
		}
	case entityManagement():
		o["entity"] = entity(e)
	case apiActivity():
		o["api"] = api(e)
		if r := resource(e); r != nil {
			o["resources"] = []object{r}
		}
		if o["actor"] == nil { // required there
			o["actor"] = object{"app_name": cmp.Or(e.Caller, e.Source)}
		}
	}
	return o
}

func metadata(e Event) object {
	m := object{
		"version": OCSFVersion, "uid": e.ID, "event_code": e.Action, "log_name": "audit trail", "log_provider": e.Source,
		"original_time": e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		"product":       object{"name": "Gatehouse", "vendor_name": "Gatehouse"},
	}
	if e.RequestID != "" {
		m["correlation_uid"] = e.RequestID
	}
	if e.OrganizationID != "" {
		m["tenant_uid"] = e.OrganizationID
	}
	return m
}

// status is how it ended. A refused right is a failure, of more weight than an attempt that did not
// work.
func status(o object, e Event) {
	o["status_id"], o["status"], o["severity_id"], o["severity"] = 1, "Success", 1, "Informational"
	if e.Outcome == "success" {
		return
	}
	o["status_id"], o["status"], o["severity_id"], o["severity"] = 2, "Failure", 2, "Low"
	o["status_detail"] = e.Outcome
	if e.Outcome == "denied" {
		o["severity_id"], o["severity"] = 3, "Medium"
	}
	if e.Reason != "" {
		o["status_code"] = e.Reason
	}
}

// actorOf is who did it; nil when nobody knows.
func actorOf(e Event) object {
	switch {
	case e.Actor.ID == "":
		return nil
	case e.Actor.Type != "user":
		return object{"app_name": e.Actor.ID}
	}
	actor := object{"user": object{"uid": e.Actor.ID, "type_id": 1, "type": "User"}}
	if e.Actor.SessionID != "" {
		actor["session"] = object{"uid": e.Actor.SessionID}
	}
	if e.Actor.ClientID != "" {
		actor["app_uid"] = e.Actor.ClientID
	}
	return actor
}

// userOf is whom it was done to: the object, or who did it, or, when somebody unknown was named,
// the name.
func userOf(e Event) object {
	switch {
	case e.ObjectType == "user" && e.ObjectID != "":
		return object{"uid": e.ObjectID, "type_id": 1, "type": "User"}
	case e.Actor.Type == "user" && e.Actor.ID != "":
		return object{"uid": e.Actor.ID, "type_id": 1, "type": "User"}
	case e.Actor.Type == "service" && e.Actor.ID != "":
		return object{"name": e.Actor.ID, "type_id": 4, "type": "Service"}
	}
	return object{"name": cmp.Or(e.text("email"), "unknown"), "type_id": 0, "type": "Unknown"}
}

// endpoint is where the request came from: the client's address, or the program that called.
func endpoint(e Event) object {
	p := object{"svc_name": cmp.Or(e.Caller, e.Source)}
	if ip, err := netip.ParseAddr(e.ClientAddress); err == nil && len(e.ClientAddress) <= 40 {
		p["ip"] = ip.String()
	}
	return p
}

func entity(e Event) object {
	m := object{"uid": cmp.Or(e.ObjectID, "unknown"), "type": cmp.Or(e.ObjectType, "unknown"), "type_id": other}
	switch {
	case e.ObjectType == "user":
		m["type_id"], m["type"] = 2, "User"
	case e.ObjectType == "organization" && strings.HasSuffix(e.Action, "policy_set"):
		m["type_id"], m["type"] = 5, "Policy"
	case e.ObjectType == "organization":
		m["type_id"], m["type"] = 4, "Organization"
	}
	return m
}

func api(e Event) object {
	a := object{"operation": cmp.Or(e.Method, e.Action), "service": object{"name": e.Source}}
	if e.RequestID != "" {
		a["request"] = object{"uid": e.RequestID}
	}
	if e.Reason != "" {
		a["response"] = object{"error": e.Reason}
	}
	return a
}

// resource is the object that it was done to; nil without one.
func resource(e Event) object {
	if e.ObjectID == "" {
		return nil
	}
	return object{"uid": e.ObjectID, "type": e.ObjectType}
}

// shortened is the event without raw_data, which says that it was left out and how long the line
// would have been in bytes (metadata.is_truncated, metadata.untruncated_size).
func shortened(o object, size int) object {
	delete(o, "raw_data")
	m, _ := o["metadata"].(object)
	m["is_truncated"], m["untruncated_size"] = true, size
	return o
}

// line is an object as one line of JSON. HTML is not escaped: nobody shows these lines in a page.
func line(o object) ([]byte, error) {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(o) // ends in a line feed
	return []byte(text.String()), err
}
