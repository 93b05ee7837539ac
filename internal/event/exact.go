package event

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// exact returns JSON in which each whole number that would lose digits as a double is a text of its
// digits: the canonical form has doubles only (RFC 8785, section 3.2.2.3) and would write another
// number instead. Values of fields of 64 bits are such texts already, by the JSON mapping of
// protobuf. What is not JSON stays as it is.
func exact(value json.RawMessage) json.RawMessage {
	if !longNumber(value) {
		return value
	}
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	var read any
	if d.Decode(&read) != nil || d.More() {
		return value
	}
	written, err := json.Marshal(exactly(read))
	if err != nil {
		return value
	}
	return written
}

// longNumber reports whether 16 digits follow each other somewhere: every whole number of fewer is
// a double. A text may look like one, which costs a closer look.
func longNumber(value []byte) bool {
	const digits = 16
	run := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			run = 0
		} else if run++; run == digits {
			return true
		}
	}
	return false
}

// exactly changes what exact does of a decoded value.
func exactly(value any) any {
	switch v := value.(type) {
	case json.Number:
		text := v.String()
		if strings.ContainsAny(text, ".eE") {
			return v // rounded, as every reader of JSON may
		}
		if f, err := v.Float64(); err != nil || strconv.FormatFloat(f, 'f', -1, 64) != text {
			return text
		}
	case []any:
		for i := range v {
			v[i] = exactly(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = exactly(v[name])
		}
	}
	return value
}
