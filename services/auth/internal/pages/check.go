package pages

import (
	"errors"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// check holds what was typed to the rules of the API's request, and says at each field of the form
// what is wrong with it. A field of the form has the name of the one of the request.
func check(t tongue, form page, m proto.Message) error {
	err := protovalidate.Validate(m)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return fmt.Errorf("apply validation rules: %w", err)
	}
	e := apierr.InvalidArgumentError()
	for _, v := range invalid.Violations {
		name, rule := protovalidate.FieldPathString(v.Proto.GetField()), v.Proto.GetRuleId()
		e = e.WithField(name, rule, v.Proto.GetMessage())
		for i := range form.Fields {
			if f := &form.Fields[i]; f.Name == name && f.Wrong == "" {
				f.Wrong = t.say(text(name, rule, m.ProtoReflect().Has(v.FieldDescriptor)))
			}
		}
	}
	return e
}

// text is the key of what to say about a field that breaks a rule.
func text(field, rule string, given bool) string {
	switch {
	case field == "display_name":
		return "field.name_form"
	case (field == "email" || field == "new_email") && given:
		return "field.email_form"
	case field == "email" || field == "new_email":
		return "field.email_missing"
	case !given:
		return "field.password_missing"
	case rule == "string.max_len":
		return "field.password_long"
	}
	return "field.password_short"
}

// repeated says at the field "repeat" that a new password was not typed the same twice.
func repeated(t tongue, form page, password, again string) error {
	if password == again {
		return nil
	}
	for i := range form.Fields {
		if form.Fields[i].Name == "repeat" {
			form.Fields[i].Wrong = t.say("field.password_repeat")
		}
	}
	return apierr.InvalidArgumentError().WithField("repeat", "password.repeat", "must be the password again")
}

// focused puts the cursor into the first field that has to be changed.
func focused(form page) page {
	found := false
	for i := range form.Fields {
		form.Fields[i].Focus = form.Fields[i].Wrong != "" && !found
		found = found || form.Fields[i].Focus
	}
	return form
}
