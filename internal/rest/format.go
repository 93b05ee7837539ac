package rest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// format is how a stream of messages is written, by its media type.
type format string

const (
	ndjson format = "application/x-ndjson" // one message a line
	sse    format = "text/event-stream"    // server-sent events (WHATWG HTML, section 9.2)
)

// cursorField is the field of a request that resumes a stream, and of each message that says where.
const cursorField = "cursor"

// accepted chooses the format that the client prefers: NDJSON, unless text/event-stream is named with a higher weight (RFC 9110,
// section 12.5.1). A client that accepts neither gets NDJSON: it says more than a 406.
func accepted(values []string) format {
	lines, events := -1.0, 0.0
	wildcard := 0.0
	for value := range strings.SplitSeq(strings.Join(values, ","), ",") {
		kind, params, err := mime.ParseMediaType(value)
		if err != nil {
			continue
		}
		weight := 1.0
		if q, ok := params["q"]; ok {
			if weight, err = strconv.ParseFloat(q, 64); err != nil || !(weight >= 0 && weight <= 1) {
				continue
			}
		}
		switch kind {
		case string(ndjson):
			lines = max(lines, weight)
		case string(sse):
			events = max(events, weight)
		case "*/*", "application/*":
			wildcard = max(wildcard, weight)
		}
	}
	if lines < 0 {
		lines = wildcard / 2 // who names one format and adds a wildcard prefers the named one
	}
	if events > lines {
		return sse
	}
	return ndjson
}

// streamMarshaler writes the messages of a stream in one format, and reads those of a stream of
// lines. It is grpc-gateway's choice by Accept and by Content-Type.
type streamMarshaler struct {
	*runtime.JSONPb

	format format
}

// StreamContentType is the media type of the response.
func (m *streamMarshaler) StreamContentType(any) string { return string(m.format) }

// NewDecoder lets a stream of lines decode itself.
func (m *streamMarshaler) NewDecoder(r io.Reader) runtime.Decoder {
	if lines, ok := r.(*lineReader); ok {
		return lines
	}
	return m.JSONPb.NewDecoder(r)
}

// Delimiter ends a message.
func (m *streamMarshaler) Delimiter() []byte { return []byte("\n") }

// Marshal writes a message, which grpc-gateway wraps into {"result": …}.
func (m *streamMarshaler) Marshal(v any) ([]byte, error) {
	wrapped, ok := v.(map[string]any)
	if !ok { // the error of a stream, which the stream swallows
		return nil, nil
	}
	message, ok := wrapped["result"].(proto.Message)
	if !ok {
		return nil, fmt.Errorf("a stream of %T", wrapped["result"])
	}
	text, err := m.JSONPb.Marshal(message)
	if err != nil || m.format == ndjson {
		return text, err
	}
	var out bytes.Buffer
	alive := onlyCursor(message)
	if alive {
		out.WriteString(": alive\n")
	}
	if cursor := cursorOf(message); cursor != "" && !strings.ContainsAny(cursor, "\x00\r\n") {
		out.WriteString("id: " + cursor + "\n") // without data it only moves the client's last event id on
	}
	if !alive {
		out.WriteString("data: ")
		out.Write(text)
		out.WriteByte('\n')
	}
	return out.Bytes(), nil
}

// failure is the last record of a stream that failed.
func (f format) failure(problem []byte) []byte {
	problem = bytes.TrimSpace(problem)
	if f == sse {
		return []byte("event: error\ndata: " + string(problem) + "\n\n")
	}
	return []byte(`{"error":` + string(problem) + "}\n")
}

func cursorOf(m proto.Message) string {
	reflected := m.ProtoReflect()
	if field := stringField(reflected.Descriptor(), cursorField); field != nil {
		return reflected.Get(field).String()
	}
	return ""
}

// onlyCursor reports whether a message says nothing but where the stream is.
func onlyCursor(m proto.Message) bool {
	only := true
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		only = field.Name() == cursorField
		return only
	})
	return only
}

// stringField is the field of a name if it is one string; nil otherwise.
func stringField(d protoreflect.MessageDescriptor, name protoreflect.Name) protoreflect.FieldDescriptor {
	if field := d.Fields().ByName(name); field != nil && field.Kind() == protoreflect.StringKind && !field.IsList() {
		return field
	}
	return nil
}
