package api_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// described is a user of its own who has every field that can be changed.
func (s service) described(t *testing.T) *identityv1.User {
	t.Helper()
	u := s.signedUp(t)
	u.DisplayName, u.Locale, u.TimeZone = "Ada L.", "en-GB", "Europe/London"
	r, err := s.as(u).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: u})
	check.NoError(t, err)
	return r.GetUser()
}

func TestUpdateUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct {
		name  string
		paths []string
		set   *identityv1.User
		want  func(u *identityv1.User)
	}{
		{"one field", []string{"time_zone"}, &identityv1.User{TimeZone: "Europe/Zurich", Locale: "de"}, func(u *identityv1.User) { u.TimeZone = "Europe/Zurich" }},
		{"all fields", []string{"*"}, &identityv1.User{DisplayName: "Countess", Locale: "de"}, func(u *identityv1.User) { u.DisplayName, u.Locale, u.TimeZone = "Countess", "de", "" }},
		{"no mask", nil, &identityv1.User{DisplayName: "Ada"}, func(u *identityv1.User) { u.DisplayName = "Ada" }},
		{"clear a field", []string{"display_name", "locale"}, &identityv1.User{Locale: "fr"}, func(u *identityv1.User) { u.DisplayName, u.Locale = "", "fr" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := s.described(t)
			want := proto.CloneOf(u)
			c.want(want)
			c.set.Id = u.GetId()
			got, err := s.as(u).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{
				User: c.set, UpdateMask: mask(c.paths), Etag: u.GetEtag(),
			})
			check.NoError(t, err)
			if got.GetUser().GetEtag() == u.GetEtag() || !got.GetUser().GetUpdateTime().AsTime().After(u.GetUpdateTime().AsTime()) {
				t.Error("etag or update_time did not change")
			}
			want.Etag, want.UpdateTime = got.GetUser().GetEtag(), got.GetUser().GetUpdateTime()
			if !proto.Equal(got.GetUser(), want) {
				t.Fatalf("got %v, want %v", got.GetUser(), want)
			}
			s.wantStored(t, want)
		})
	}
	t.Run("nothing changes", func(t *testing.T) {
		u := s.described(t)
		for _, paths := range [][]string{nil, {"display_name", "locale", "time_zone"}} {
			got, err := s.as(u).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{
				User:       &identityv1.User{Id: u.GetId(), DisplayName: u.GetDisplayName(), Locale: u.GetLocale(), TimeZone: u.GetTimeZone()},
				UpdateMask: mask(paths),
			})
			check.NoError(t, err)
			if !proto.Equal(got.GetUser(), u) {
				t.Fatalf("got %v, want %v", got.GetUser(), u)
			}
		}
	})
	t.Run("stale etag", func(t *testing.T) {
		u := s.described(t)
		_, err := s.as(u).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{
			User: &identityv1.User{Id: u.GetId(), DisplayName: "x"}, UpdateMask: mask([]string{"display_name"}), Etag: "AAAAAAAAAAAAAAAA",
		})
		wantError(t, err, apierr.Aborted, "ETAG_MISMATCH")
		s.wantStored(t, u)
	})
}

// R53: what cannot be changed is refused by name, and then nothing else of the request happens either.
func TestUpdateUserRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.signedUp(t)
	for name, c := range map[string]struct {
		paths      string
		set        *identityv1.User
		field, why string
	}{
		"email":           {"display_name email", &identityv1.User{DisplayName: "x", Email: "x@example.com"}, "user.email", "immutable"},
		"organization":    {"display_name organization_id", &identityv1.User{DisplayName: "x"}, "user.organization_id", "immutable"},
		"etag":            {"display_name etag", &identityv1.User{DisplayName: "x"}, "user.etag", "immutable"},
		"create time":     {"display_name create_time", &identityv1.User{DisplayName: "x"}, "user.create_time", "immutable"},
		"id":              {"display_name id", &identityv1.User{DisplayName: "x"}, "user.id", "immutable"},
		"unknown":         {"display_name role", &identityv1.User{DisplayName: "x"}, "user.role", "unknown"},
		"time zone":       {"display_name time_zone", &identityv1.User{DisplayName: "x", TimeZone: "Mars/Base"}, "user.time_zone", "time_zone"},
		"locale":          {"display_name locale", &identityv1.User{DisplayName: "x", Locale: "xx-YY"}, "user.locale", "locale"},
		"locale form":     {"locale", &identityv1.User{Locale: "de_CH"}, "user.locale", "string.pattern"},
		"long name":       {"display_name", &identityv1.User{DisplayName: strings.Repeat("é", 201)}, "user.display_name", "string.max_len"},
		"newline in name": {"display_name", &identityv1.User{DisplayName: "a\nb"}, "user.display_name", "string.pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			c.set.Id = u.GetId()
			_, err := s.as(u).UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: c.set, UpdateMask: mask(strings.Fields(c.paths))})
			wantViolation(t, err, c.field, c.why)
			s.wantStored(t, u)
		})
	}
}

func mask(paths []string) *fieldmaskpb.FieldMask {
	if paths == nil {
		return nil
	}
	return &fieldmaskpb.FieldMask{Paths: paths}
}
