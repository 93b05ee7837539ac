package fga_test

import (
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

func TestSmoke(t *testing.T) {
	start := time.Now()
	engine := fgatest.New(t)
	t.Log(time.Since(start))
	fgatest.Write(t, engine, "organization:o#owner@group:g#member", "group:g#member@user:u")
	got, err := engine.Check(t.Context(), "user:u", []fga.Question{{"can_read", "organization:o"}, {"can_read", "organization:p"}})
	t.Log(got, err)
	p, err := engine.Position(t.Context())
	t.Log(p, err, engine.Reached(t.Context(), p))
	t.Log(engine.Read(t.Context(), fga.Filter{}, 1, ""))
	t.Log(engine.TuplesOf(t.Context(), "group:g"))
	t.Log(engine.ListObjects(t.Context(), "user:u", "can_read", "organization"))
	t.Log(engine.ListSubjects(t.Context(), "organization:o", "can_read", "user"))
	t.Log(engine.Model())
}
