package openapi

import (
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
)

const (
	consistencyName = "ConsistencyToken"
	ifMatchName     = "IfMatch"
	parameterPrefix = "#/components/parameters/"
	headerPrefix    = "#/components/headers/"
	cursorName      = "cursor"
	etagHeader      = "ETag"
)

// Forms of headers. A tag is strong and of visible ASCII (RFC 9110, section 8.8.3; internal/rest);
// a consistency token is opaque base64url (internal/request), as long as fields that hold one
// admit.
const (
	tagPattern         = `^"[!#-~]+"$`
	ifMatchPattern     = `^(\*|"[!#-~]+")$`
	consistencyPattern = `^[A-Za-z0-9_-]+$`
	longestToken       = 256
)

// headerParameters are the request headers that a method honours, beside If-Match.
func headerParameters(m *contract.Method) []any {
	var out []any
	cursor := m.Descriptor.Input().Fields().ByName(protoreflect.Name(cursorName))
	if m.LongLived && cursor != nil {
		schema := object{"type": "string"}
		constrain(schema, cursor)
		out = append(out, object{
			"name": "Last-Event-ID", "in": "header", "schema": schema,
			"description": "Cursor of the last message that was seen, as clients of server-sent events send it; it wins over the cursor parameter.",
		})
	}
	if !m.Has(contract.Public) { // nothing is asked of Authz for those
		out = append(out, object{"$ref": parameterPrefix + consistencyName})
	}
	return out
}

func tokenSchema() object {
	return object{"type": "string", "pattern": consistencyPattern, "maxLength": longestToken}
}

func sharedParameters() object {
	return object{
		consistencyName: object{
			"name": rest.ConsistencyToken, "in": "header", "schema": tokenSchema(),
			"description": "Token of an earlier answer: this one reflects that write, or is 503 (NOT_FRESH_ENOUGH).",
		},
		ifMatchName: object{
			"name": "If-Match", "in": "header", "schema": object{"type": "string", "pattern": ifMatchPattern},
			"description": `ETag that the resource must still have, such as "abc" with its quotes; 412 when it has changed. Without it, or with *, any will do.`,
		},
	}
}

// headersOf refers to headers of an answer, and keeps what they refer to.
func (b *builder) headersOf(names ...string) object {
	headers := object{}
	for _, name := range names {
		component, header := answerHeader(name)
		b.headers[component] = header
		headers[name] = object{"$ref": headerPrefix + component}
	}
	return headers
}

// answerHeader describes a header of answers.
func answerHeader(name string) (component string, header object) {
	text := func(description string, schema object) object {
		return object{"description": description, "schema": schema}
	}
	switch name {
	case rest.ConsistencyToken:
		return consistencyName, text("Token of what the request wrote, where it changed relationships. Send it to see the change.", tokenSchema())
	case rest.StoredMessages:
		return "StoredMessages", text("How many lines of the body are stored, the first ones, however the request ended; nobody knows where it is missing.",
			object{"type": "integer", "minimum": 0})
	case etagHeader:
		return etagHeader, text("The resource's etag as a strong entity tag, for If-Match. "+
			"Leave out a W/ that a compressing proxy put before it: a weak tag is always 412.", object{"type": "string", "pattern": tagPattern})
	case retryAfterHeader:
		return "RetryAfter", text("Seconds to wait before the request is repeated.", object{"type": "integer", "minimum": 1})
	default: // challengeHeader
		return "Challenge", text("Which credential is wanted and, where one was sent, what is wrong with it (RFC 6750, section 3), or how old the sign-in may be (RFC 9470, section 3).", object{"type": "string"})
	}
}
