package openapi

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
)

const (
	responsePrefix   = "#/components/responses/"
	retryAfterHeader = "Retry-After"
	challengeHeader  = "WWW-Authenticate"
	failedName       = "Failed"
)

// refusal is a reason for which a request may be refused.
type refusal struct {
	name, sentence string
	form           bool // the request is not one of this document: no client that is generated from it sends such
}

// addRefusals states with which reasons a method answers, status by status. What all methods answer
// with is a shared answer.
func (b *builder) addRefusals(responses object, m *contract.Method) error {
	byStatus := map[int][]refusal{}
	for _, r := range b.contract.Refusals(m) {
		byStatus[r.Error().Status()] = append(byStatus[r.Error().Status()], refusal{name: r.Name, sentence: r.Sentence})
	}
	for status, refusals := range atTheDoor(m) {
		byStatus[status] = append(byStatus[status], refusals...)
	}
	shared := sharedRefusals()
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		refusals := ordered(byStatus[status])
		key := strconv.Itoa(status)
		if same := shared[status]; same.name != "" && slices.Equal(names(same.refusals), names(refusals)) && !m.Descriptor.IsStreamingClient() {
			if err := b.claim("answer", same.name, key); err != nil {
				return err
			}
			b.responses[same.name] = b.refused(status, refusals, false)
			responses[key] = object{"$ref": responsePrefix + same.name}
			continue
		}
		responses[key] = b.refused(status, refusals, m.Descriptor.IsStreamingClient())
	}
	if m.Descriptor.IsStreamingClient() {
		responses["default"] = b.failed(true)
		return nil
	}
	b.responses[failedName] = b.failed(false)
	responses["default"] = object{"$ref": responsePrefix + failedName}
	return nil
}

// ordered puts what the method is about before what is wrong with the request's form, each by name
// and once.
func ordered(refusals []refusal) []refusal {
	slices.SortStableFunc(refusals, func(a, b refusal) int {
		if a.form != b.form {
			return cmp.Compare(number(a.form), number(b.form))
		}
		return strings.Compare(a.name, b.name)
	})
	return slices.CompactFunc(refusals, func(a, b refusal) bool { return a.name == b.name })
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func names(refusals []refusal) []string {
	all := make([]string, 0, len(refusals))
	for _, r := range refusals {
		all = append(all, r.name)
	}
	return all
}

// refused is the answer of one status.
func (b *builder) refused(status int, refusals []refusal, lines bool) object {
	var text strings.Builder
	text.WriteString(meaning(status) + "\n")
	var form, all []string
	for _, r := range refusals {
		all = append(all, r.name)
		if r.form {
			form = append(form, "`"+r.name+"`")
			continue
		}
		text.WriteString("\n- `" + r.name + "`: " + r.sentence)
	}
	if len(form) > 0 {
		text.WriteString("\n- " + strings.Join(form, ", ") + ": the request does not have the form that is described here")
	}
	var headers []string
	switch status {
	case http.StatusUnauthorized:
		headers = append(headers, challengeHeader)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		headers = append(headers, retryAfterHeader)
	}
	if lines {
		headers = append(headers, rest.StoredMessages)
	}
	answer := b.problemAnswer(text.String(), headers...)
	answer["x-reasons"] = all
	return answer
}

// failed is the answer of every other status.
func (b *builder) failed(lines bool) object {
	const text = "Anything else: a defect (500), something that is needed and cannot be had now (503, with Retry-After), too slow (504)."
	if lines {
		return b.problemAnswer(text, rest.StoredMessages)
	}
	return b.problemAnswer(text)
}

func (b *builder) problemAnswer(description string, headers ...string) object {
	answer := object{
		"description": description,
		"content":     object{problemType: object{"schema": object{"$ref": schemaPrefix + problemSchema}}},
	}
	if len(headers) > 0 {
		answer["headers"] = b.headersOf(headers...)
	}
	return answer
}

// meaning says to people what a status means here.
func meaning(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "The request cannot succeed as it is, or not in this state."
	case http.StatusUnauthorized:
		return "No valid credential."
	case http.StatusForbidden:
		return "A valid credential without the right."
	case http.StatusNotFound:
		return "Unknown, or not the caller's."
	case http.StatusConflict:
		return "A unique value is taken."
	case http.StatusPreconditionFailed:
		return "The resource is no longer the one that If-Match names."
	case http.StatusTooManyRequests:
		return "A limit is reached: repeat the request after Retry-After."
	case http.StatusServiceUnavailable:
		return "Not now: repeat the request after Retry-After. Beside what any operation may answer:"
	default:
		return http.StatusText(status) + "."
	}
}

// sharedRefusal is what many methods answer with one status.
type sharedRefusal struct {
	name     string
	refusals []refusal
}

// sharedRefusals are answers by status that a method refers to when it refuses for exactly these
// reasons.
func sharedRefusals() map[int]sharedRefusal {
	shared := map[int]sharedRefusal{}
	add := func(name string, errors ...*apierr.Error) {
		var refusals []refusal
		for _, e := range errors {
			refusals = append(refusals, refusal{name: e.Reason, sentence: e.Message})
		}
		shared[errors[0].Status()] = sharedRefusal{name, ordered(refusals)}
	}
	add("TokenRefused", apierr.TokenRequired(), apierr.InvalidToken(), apierr.TokenExpired(), apierr.TokenRevoked())
	add("NotPermitted", apierr.PermissionDeniedError())
	add("BodyTooSlow", apierr.BodyTimeout())
	add("StateChanged", apierr.ETagMismatch())
	add("BodyTooLarge", apierr.BodyTooLarge())
	add("TargetTooLong", apierr.URITooLong())
	add("BodyNotJSON", apierr.UnsupportedMediaType())
	add("TooManyRequests", apierr.RateLimited())
	add("NotFreshEnough", apierr.NotFreshEnough())
	return shared
}
