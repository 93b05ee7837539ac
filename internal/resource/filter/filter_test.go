package filter

import (
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/gatehouse/gatehouse/internal/testkit/check"

	"github.com/gatehouse/gatehouse/internal/resource"
)

func userFilters(t testing.TB) *Parser {
	t.Helper()
	f, err := New(Fields{
		Texts: []string{"email", "display_name"}, Times: []string{"create_time"}, Bools: []string{"proven"},
		Enums: map[string]protoreflect.EnumType{"kind": descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Type()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilter(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for filter, want := range map[string][]resource.Condition{
		"":                           nil,
		"  ":                         nil,
		`email = "a@example.com"`:    {{Field: "email", Op: resource.Equal, Value: "a@example.com"}},
		`display_name != 'O\'Brien'`: {{Field: "display_name", Op: resource.NotEqual, Value: "O'Brien"}},
		`display_name = "100%_*"`:    {{Field: "display_name", Op: resource.Equal, Value: "100%_*"}},
		`create_time >= "2026-01-02T13:00:00+01:00"`:      {{Field: "create_time", Op: resource.GreaterEqual, Value: noon}},
		`create_time < timestamp("2026-01-02T12:00:00Z")`: {{Field: "create_time", Op: resource.Less, Value: noon}},
		`kind = LABEL_REPEATED`:                           {{Field: "kind", Op: resource.Equal, Value: "LABEL_REPEATED"}},
		`proven = true`:                                   {{Field: "proven", Op: resource.Equal, Value: true}},
		`proven != true AND proven = false`:               {{Field: "proven", Op: resource.NotEqual, Value: true}, {Field: "proven", Op: resource.Equal, Value: false}},
		`kind != LABEL_REQUIRED`:                          {{Field: "kind", Op: resource.NotEqual, Value: "LABEL_REQUIRED"}},
		`(email = "a") AND create_time > "2026-01-02T12:00:00Z"`: {
			{Field: "email", Op: resource.Equal, Value: "a"}, {Field: "create_time", Op: resource.Greater, Value: noon},
		},
	} {
		t.Run(filter, func(t *testing.T) {
			got, err := userFilters(t).Parse(filter)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestFilterIsRefused(t *testing.T) {
	for _, filter := range []string{
		`email`, `email = `, `= "a"`, `"a" = "a"`, `"a" = email`, `email = display_name`, `email = email`,
		`email < "a"`, `email : "a"`, `email:*`, `create_time : "2026-01-02T12:00:00Z"`,
		`email = "a" OR email = "b"`, `email = "a" display_name = "b"`, `NOT email = "a"`, `-email = "a"`,
		`password_hash = "a"`, `user.email = "a"`, `id = "a"`, `state = "deleting"`,
		`email = 1`, `create_time = 1`, `create_time > "yesterday"`, `create_time > ""`, `create_time = create_time`,
		`kind = LABEL_OTHER`, `kind = "LABEL_REPEATED"`, `kind = kind`, `kind < LABEL_REPEATED`, `kind = 3`, `kind`, `kind = email`, `email = LABEL_REPEATED`,
		`proven`, `NOT proven`, `proven = "true"`, `proven = proven`, `true = proven`, `true = true`, `proven < true`, `proven = 1`, `email = true`, `true`,
		`LABEL_REPEATED = LABEL_REPEATED`, `LABEL_REPEATED = kind`,
		`email = "\x00"`, `email = "a"; drop table identity.users`, `email = "a`, `email = "a" AND`, `((((`, `timestamp("a")`,
		strings.Repeat(`email = "a" AND `, 10) + `email = "a"`, strings.Repeat("(", 1000),
	} {
		t.Run(filter, func(t *testing.T) {
			_, err := userFilters(t).Parse(filter)
			check.InvalidField(t, err, "filter", "filter")
		})
	}
}

func FuzzFilter(f *testing.F) {
	parser := userFilters(f)
	f.Add(`email = "a@example.com" AND create_time >= "2026-01-02T13:00:00Z"`)
	f.Add(`NOT (display_name != 'x' OR email : "b")`)
	f.Add(`kind = LABEL_REPEATED AND kind != kind`)
	f.Add(`create_time < timestamp("2026-01-02T12:00:00Z") -a.b`)
	f.Fuzz(func(t *testing.T, filter string) {
		if len(filter) > 1024 { // the contract's rule
			return
		}
		conditions, err := parser.Parse(filter)
		if err != nil {
			check.InvalidField(t, err, "filter", "filter")
			return
		}
		for _, c := range conditions {
			switch value := c.Value.(type) {
			case string:
				if c.Field != "email" && c.Field != "display_name" && (c.Field != "kind" || !strings.HasPrefix(value, "LABEL_")) || !utf8.ValidString(value) || strings.Contains(value, "\x00") {
					t.Fatalf("accepted %+v", c)
				}
			case time.Time:
				if c.Field != "create_time" {
					t.Fatalf("accepted %+v", c)
				}
			default:
				t.Fatalf("accepted %+v", c)
			}
		}
	})
}
