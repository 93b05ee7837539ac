package openapi

const (
	problemSchema = "Problem"
	fieldSchema   = "ProblemField"
	problemType   = "application/problem+json"
)

// problem is the schema of the one error body (internal/server/http).
func problem() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type":        "object",
		"description": "Problem document (RFC 9457).",
		"required":    []any{"type", "title", "status", "reason"},
		"properties": object{
			"type":     object{"type": "string", "format": "uri", "description": "Absolute URI of the kind of problem."},
			"title":    text("Meaning of the status."),
			"status":   object{"type": "integer", "minimum": 400, "maximum": 599, "description": "HTTP status."},
			"detail":   text("What happened, for people."),
			"instance": text("urn:gatehouse:request:<request id>, to quote to support."),
			"reason": object{
				"type": "string", "pattern": "^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$",
				"description": "Why, as an UPPER_SNAKE word that is never changed: match on it. There may be others than those that an operation lists.",
			},
			"subject": text("What the failed precondition or the limit is about, such as organization:<id>."),
			"errors": object{
				"type": "array", "items": object{"$ref": schemaPrefix + fieldSchema}, "description": "What is wrong with the request, field by field.",
			},
			"violations": object{"type": "integer", "description": "How many errors there are, where not all are named."},
		},
	}
}

// problemField is one violated rule of one field.
func problemField() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type":        "object",
		"description": "A violated rule.",
		"required":    []any{"field", "rule", "description"},
		"properties": object{
			"field":       text("Field, parameter or header at fault."),
			"rule":        text("Name of the violated rule."),
			"description": text("What would be right, for people."),
		},
	}
}
