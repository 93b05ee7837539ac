package openapi

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// longestSummary is how many characters a summary has: it is a line of a list.
const longestSummary = 80

// claim takes a name of the document for something of the contracts.
func (b *builder) claim(kind, name, owner string) error {
	key := kind + " " + name
	if other, taken := b.names[key]; taken && other != owner {
		return fmt.Errorf("%s and %s would both be the %s %s of the document: rename the newer one", other, owner, kind, name)
	}
	b.names[key] = owner
	return nil
}

// operationID is the name of a method in generated clients: "signUp".
func operationID(m *contract.Method) string {
	name := string(m.Descriptor.Name())
	first, size := utf8.DecodeRuneInString(name)
	return string(unicode.ToLower(first)) + name[size:]
}

// tagName is a service as a group of operations: "User" of UserService.
func tagName(service string) string {
	if short := strings.TrimSuffix(service, "Service"); short != "" {
		return short
	}
	return service
}

// componentName is a message without its package: "User", and "UserAddress" of a message inside
// User. Elements of a package begin with a small letter, messages with a capital one.
// SignInResponse is SignInResult: generators call what they make of an operation's answers
// <Operation>Response (oapi-codegen writes Go that does not compile when both have one name).
func componentName(message string) string {
	var name strings.Builder
	for element := range strings.SplitSeq(message, ".") {
		if first, _ := utf8.DecodeRuneInString(element); unicode.IsUpper(first) {
			name.WriteString(element)
		}
	}
	if method, answer := strings.CutSuffix(name.String(), "Response"); answer && method != "" {
		return method + "Result"
	}
	return name.String()
}

// rename makes component names of all messages that a part of the document refers to.
func rename(part any) {
	switch part := part.(type) {
	case object:
		if target, ok := part["$ref"].(string); ok && strings.HasPrefix(target, schemaPrefix) {
			part["$ref"] = schemaPrefix + componentName(strings.TrimPrefix(target, schemaPrefix))
		}
		for _, value := range part {
			rename(value)
		}
	case []any:
		for _, element := range part {
			rename(element)
		}
	}
}

// said is a comment of the contract as a sentence of its own: "Creates a login." of "SignUp creates
// a login." Lines are joined, empty ones begin a paragraph.
func said(comment, name string) string {
	paragraphs := strings.Split(strings.TrimSpace(comment), "\n\n")
	for i, paragraph := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(paragraph), " ")
	}
	text := strings.Join(paragraphs, "\n\n")
	rest, named := strings.CutPrefix(text, name+" ")
	if !named {
		return text
	}
	return capital(strings.TrimPrefix(rest, "is "))
}

// described is the comment of a field where it needs no name: "When the user was created." of
// "create_time is when the user was created."
func described(comment, name string) string {
	text := said(comment, "")
	for _, verb := range []string{" is ", " are "} {
		if rest, named := strings.CutPrefix(text, name+verb); named {
			return capital(rest)
		}
	}
	return text
}

func capital(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

var endOfSentence = regexp.MustCompile(`[.](\s|$)`)

// summary is the first sentence of a description, or what of it fits into a line: up to a colon, a
// semicolon or a comma.
func summary(description string) string {
	line, _, _ := strings.Cut(description, "\n")
	if end := endOfSentence.FindStringIndex(line); end != nil {
		line = line[:end[0]]
	}
	for _, stop := range []string{": ", "; ", ", "} {
		if utf8.RuneCountInString(line) <= longestSummary {
			return line
		}
		line, _, _ = strings.Cut(line, stop)
	}
	if runes := []rune(line); len(runes) > longestSummary {
		kept := string(runes[:longestSummary-1])
		if space := strings.LastIndex(kept, " "); space > 0 {
			kept = kept[:space]
		}
		return kept + "…"
	}
	return line
}

// nameOf is the full name under which schemas keep a message.
func nameOf(d protoreflect.MessageDescriptor) string { return string(d.FullName()) }
