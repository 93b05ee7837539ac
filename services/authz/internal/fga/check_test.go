package fga_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

func wantReason(t *testing.T, err error, kind apierr.Kind, reason string) {
	t.Helper()
	if !errors.Is(err, apierr.New(kind, reason, "")) {
		t.Errorf("error %v, want kind %d %s", err, kind, reason)
	}
}

func TestCheckAnswersABatchInOrder(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	var asked []fga.Question
	for i := range 100 {
		if i%3 == 0 {
			fgatest.Write(t, engine, fmt.Sprintf("group:%d#member@user:u", i))
		}
		asked = append(asked, fga.Question{Relation: "member", Object: fmt.Sprintf("group:%d", i)})
	}
	got, err := engine.Check(t.Context(), "user:u", asked)
	if err != nil || len(got) != len(asked) {
		t.Fatal(got, err)
	}
	for i, allowed := range got {
		if allowed != (i%3 == 0) {
			t.Errorf("answer %d is %t", i, allowed)
		}
	}
	if none, err := engine.Check(t.Context(), "user:u", nil); err != nil || len(none) != 0 {
		t.Errorf("no question: %v, %v", none, err)
	}
}

// R64: names are compared whole.
func TestNamesAreComparedWhole(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	fgatest.Write(t, engine, "group:team#member@user:u", "group:team2#member@group:team#member", "organization:o#admin@group:team#member")
	for object, want := range map[string]bool{"group:team": true, "group:tea": false, "group:team2": true, "group:team3": false, "group:TEAM": false, "group:team/": false} {
		got, err := engine.Check(t.Context(), "user:u", []fga.Question{{Relation: "member", Object: object}})
		if err != nil || got[0] != want {
			t.Errorf("%s: %v, %v", object, got, err)
		}
	}
	for _, subject := range []string{"user:U", "user:u2", "user:u/", "service_account:u", "user:us"} {
		got, err := engine.Check(t.Context(), subject, []fga.Question{{Relation: "member", Object: "group:team"}})
		if err != nil || got[0] {
			t.Errorf("%s: %v, %v", subject, got, err)
		}
	}
}

func TestQuestionsOutsideOfTheModelAreInvalid(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	for name, c := range map[string]struct{ subject, relation, object string }{
		"a set of subjects":        {"group:g#member", "member", "group:g"},
		"everybody":                {"user:*", "member", "group:g"},
		"no subject":               {"", "member", "group:g"},
		"a subject without a type": {"u", "member", "group:g"},
		"an unknown subject type":  {"robot:u", "member", "group:g"},
		"an unknown relation":      {"user:u", "owner", "group:g"},
		"a relation of a tupleset": {"user:u", "member from", "group:g"},
		"an unknown type":          {"user:u", "member", "team:g"},
		"no object":                {"user:u", "member", ""},
		"an object without an id":  {"user:u", "member", "group:"},
		"a set as the object":      {"user:u", "member", "group:g#member"},
		"a NUL":                    {"user:u\x00", "member", "group:g"},
		"an unseen blank":          {"user:u", "member", "group:g\u00a0"},
		"no UTF-8":                 {"user:u", "member", "group:\xff"},
	} {
		_, err := engine.Check(t.Context(), c.subject, []fga.Question{{Relation: "member", Object: "group:g"}, {Relation: c.relation, Object: c.object}})
		if !errors.Is(err, apierr.New(apierr.InvalidArgument, "INVALID_RELATIONSHIP", "")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := engine.ListObjects(t.Context(), "group:g#member", "can_read", "organization")
	wantReason(t, err, apierr.InvalidArgument, "INVALID_RELATIONSHIP")
	_, err = engine.ListObjects(t.Context(), "user:u", "can_fly", "organization")
	wantReason(t, err, apierr.InvalidArgument, "INVALID_RELATIONSHIP")
	_, err = engine.ListSubjects(t.Context(), "organization:o", "can_read", "robot")
	wantReason(t, err, apierr.InvalidArgument, "INVALID_RELATIONSHIP")
}

// A list that was cut by its deadline is an error, never a shorter list.
func TestACallThatIsOverIsAnError(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	fgatest.Write(t, engine, "group:g#member@user:u")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Check(over, "user:u", []fga.Question{{Relation: "member", Object: "group:g"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("check: %v", err)
	}
	if got, err := engine.ListObjects(over, "user:u", "member", "group"); !errors.Is(err, context.Canceled) {
		t.Errorf("objects: %v, %v", got, err)
	}
	if got, err := engine.ListSubjects(over, "group:g", "member", "user"); !errors.Is(err, context.Canceled) {
		t.Errorf("subjects: %v, %v", got, err)
	}
	if err := engine.Write(over, nil, nil); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
}
