package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// maxDepth bounds how deep a body may nest.
const maxDepth = 32

// mistyped names a field of the contract and what it takes, in the response and in the log; the
// value that was sent is in neither.
func mistyped(e *apierr.Error, path, description string) *apierr.Error {
	return e.WithField(path, "type", description).Because(errors.New(strings.TrimSpace(path + " " + description)))
}

// checkStructure refuses a body that is not exactly one JSON object with the message's own fields (by proto name, each at most
// once). Types and values are left to decode.
func checkStructure(body []byte, d protoreflect.MessageDescriptor) *apierr.Error {
	if !utf8.Valid(body) {
		return apierr.MalformedJSON().Saying("the body is not valid UTF-8").WithField("", "json.utf8", "must be UTF-8 (RFC 8259, section 8.1)")
	}
	w := walker{dec: json.NewDecoder(bytes.NewReader(body))}
	w.dec.UseNumber()
	err := w.message(d, "", 0)
	if err == nil {
		if _, e := w.dec.Token(); e != io.EOF {
			err = w.malformed("only one JSON value may be sent", e)
		}
	}
	return err
}

// walker reads a body once, token by token, beside the descriptor of its message.
type walker struct{ dec *json.Decoder }

func (w *walker) token() (json.Token, *apierr.Error) {
	token, err := w.dec.Token()
	if err != nil {
		return nil, w.malformed("the body is not valid JSON", err)
	}
	return token, nil
}

// malformed says where the JSON breaks. The parser's own text quotes what stands there, perhaps of a password: the log must not have it.
func (w *walker) malformed(message string, cause error) *apierr.Error {
	at := w.dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(cause, &syntax) {
		at = syntax.Offset
	}
	return apierr.MalformedJSON().Saying(message).
		WithField("", "json.syntax", "not valid JSON at byte "+strconv.FormatInt(at, 10))
}

// message reads an object whose members are fields of d.
func (w *walker) message(d protoreflect.MessageDescriptor, path string, depth int) *apierr.Error {
	token, err := w.token()
	if err != nil {
		return err
	}
	return w.members(token, d, path, depth)
}

func (w *walker) members(first json.Token, d protoreflect.MessageDescriptor, path string, depth int) *apierr.Error {
	if first != json.Delim('{') {
		return wrongType(path, "must be a JSON object")
	}
	if depth++; depth > maxDepth {
		return tooDeep(path)
	}
	seen := map[string]bool{}
	for w.dec.More() {
		name, err := w.name(path, seen)
		if err != nil {
			return err
		}
		field := d.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			return apierr.UnknownField().
				WithField(join(path, Echo(name)), "known", unknownHint(d, name))
		}
		if err := w.value(field, join(path, name), depth); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// name reads a member name and refuses a second one of the same name.
func (w *walker) name(path string, seen map[string]bool) (string, *apierr.Error) {
	token, err := w.token()
	if err != nil {
		return "", err
	}
	name, ok := token.(string)
	if !ok {
		return "", w.malformed("the body is not valid JSON", nil)
	}
	if seen[name] {
		return "", apierr.DuplicateField().
			WithField(join(path, Echo(name)), "unique", "must appear once")
	}
	seen[name] = true
	return name, nil
}

// value reads the value of a field: into messages of ours, over everything else.
func (w *walker) value(field protoreflect.FieldDescriptor, path string, depth int) *apierr.Error {
	token, err := w.token()
	if err != nil {
		return err
	}
	ours := field.Message() != nil && !wellKnown(field.Message()) && !field.IsMap()
	switch {
	case token == nil: // null leaves a field unset
		return nil
	case ours && !field.IsList():
		return w.members(token, field.Message(), path, depth)
	case ours && token == json.Delim('['):
		return w.elements(field.Message(), path, depth+1)
	default:
		return w.skip(token, path, depth)
	}
}

func (w *walker) elements(d protoreflect.MessageDescriptor, path string, depth int) *apierr.Error {
	for i := 0; w.dec.More(); i++ {
		if err := w.message(d, fmt.Sprintf("%s[%d]", path, i), depth); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

// skip reads over the value that begins with token.
func (w *walker) skip(token json.Token, path string, depth int) *apierr.Error {
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxDepth {
		return tooDeep(path)
	}
	seen := map[string]bool{}
	for w.dec.More() {
		if delim == '{' {
			if _, err := w.name(path, seen); err != nil {
				return err
			}
		}
		inner, err := w.token()
		if err != nil {
			return err
		}
		if err := w.skip(inner, path, depth); err != nil {
			return err
		}
	}
	_, err := w.token()
	return err
}

func wrongType(path, description string) *apierr.Error {
	return mistyped(apierr.InvalidField(), path, description)
}

func tooDeep(path string) *apierr.Error {
	return apierr.MalformedJSON().Saying("the body nests too deep").
		WithField(path, "json.depth", fmt.Sprintf("must nest at most %d levels", maxDepth))
}

// unknownHint says what is wrong with a name, and the right one when it was written in camel case.
func unknownHint(d protoreflect.MessageDescriptor, name string) string {
	if field := d.Fields().ByJSONName(name); field != nil {
		return fmt.Sprintf("is written %q", field.Name())
	}
	return "is not a field of this request"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
