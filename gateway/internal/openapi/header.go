package openapi

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
)

const (
	consistencyName = "ConsistencyToken"
	storedName      = "StoredMessages"
	parameterPrefix = "#/components/parameters/"
	headerPrefix    = "#/components/headers/"
	cursorName      = "cursor"
)

// headerParameters are the request headers that a method honours, beside If-Match.
func headerParameters(m *contract.Method) []any {
	var out []any
	if m.LongLived && m.Descriptor.Input().Fields().ByName(protoreflect.Name(cursorName)) != nil {
		out = append(out, object{
			"name": "Last-Event-ID", "in": "header", "schema": object{"type": "string"},
			"description": "Cursor of the last message that was seen, as clients of server-sent events send it; it wins over the cursor parameter.",
		})
	}
	if !m.Has(contract.Public) { // nothing is asked of Authz for those
		out = append(out, object{"$ref": parameterPrefix + consistencyName})
	}
	return out
}

func sharedParameters() object {
	return object{consistencyName: object{
		"name": rest.ConsistencyToken, "in": "header", "schema": object{"type": "string"},
		"description": "Token of an earlier answer: this one reflects that write, or is 503 (NOT_FRESH_ENOUGH).",
	}}
}

func sharedHeaders() object {
	return object{
		consistencyName: object{
			"schema":      object{"type": "string"},
			"description": "Token of what the request wrote, where it changed relationships. Send it to see the change.",
		},
		storedName: object{
			"schema":      object{"type": "integer"},
			"description": "How many lines of the body are stored, the first ones, however the request ended.",
		},
	}
}

// correctLines states the form of a request that is a stream of messages.
func correctLines(body object) {
	content, _ := body["content"].(object)
	body["description"] = "NDJSON: one message a line, as many as one likes; the size of each line and the time it may take are bounded."
	body["content"] = object{"application/x-ndjson": content["application/json"]} // the schema is that of each line
}

// correctStream states the two forms of a stream of messages.
func correctStream(success object) {
	content, _ := success["content"].(object)
	media, _ := content["application/json"].(object)
	message := media["schema"]
	success["description"] = "A stream of messages, NDJSON unless Accept prefers text/event-stream. It ends with the access token, without an error."
	success["content"] = object{
		"application/x-ndjson": object{"schema": object{
			"description": "Each line. A line of only a cursor is a sign of life; an error is the last line.",
			"anyOf": []any{message, object{
				"type": "object", "required": []any{"error"}, "properties": object{"error": object{"$ref": schemaPrefix + problemSchema}},
			}},
		}},
		"text/event-stream": object{"schema": object{
			"type": "string", "description": "Server-sent events: id is the cursor and data a message; signs of life are comments; the event \"error\" has a problem document.",
		}},
	}
}
