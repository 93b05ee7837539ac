package api_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

func TestOrganizations(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewOrganizationDirectoryServiceClient(s.As("auth"))
	ctx := t.Context()
	create := &identityv1.CreateOrganizationRequest{Id: strings.ToUpper(uuid.NewString()), DisplayName: "Analytical"}
	created, err := directory.CreateOrganization(ctx, create)
	check.NoError(t, err)
	o := created.GetOrganization()
	if o.GetId() != strings.ToLower(create.GetId()) || o.GetDisplayName() != "Analytical" || o.GetEtag() == "" || !o.GetCreateTime().IsValid() {
		t.Fatalf("got %v", o)
	}
	again, err := directory.CreateOrganization(ctx, create)
	check.NoError(t, err)
	got, err := directory.GetOrganization(ctx, &identityv1.GetOrganizationRequest{Id: create.GetId()})
	check.NoError(t, err)
	if !proto.Equal(again.GetOrganization(), o) || !proto.Equal(got.GetOrganization(), o) {
		t.Fatalf("got %v and %v, want %v", again, got, o)
	}
	_, err = directory.CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{Id: o.GetId(), DisplayName: "Other"})
	wantError(t, err, apierr.AlreadyExists, "ORGANIZATION_ID_TAKEN")

	updated, err := directory.UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: o.GetId(), DisplayName: "Engine"}, UpdateMask: mask([]string{"display_name"}), Etag: o.GetEtag(),
	})
	check.NoError(t, err)
	if updated.GetOrganization().GetDisplayName() != "Engine" || updated.GetOrganization().GetEtag() == o.GetEtag() {
		t.Fatalf("got %v", updated)
	}
	_, err = directory.UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: o.GetId(), DisplayName: "x"}, Etag: o.GetEtag(),
	})
	wantError(t, err, apierr.Aborted, "ETAG_MISMATCH")
	_, err = directory.UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: o.GetId(), DisplayName: "x"}, UpdateMask: mask([]string{"create_time"}),
	})
	wantViolation(t, err, "organization.create_time", "immutable")
	_, err = directory.UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: "x", DisplayName: "x"},
	})
	wantViolation(t, err, "organization.id", "string.uuid")

	_, err = identityv1.NewUserDirectoryServiceClient(s.As("auth")).RegisterUser(ctx, &identityv1.RegisterUserRequest{
		Id: uuid.NewString(), OrganizationId: o.GetId(), Email: "ada@example.com",
	})
	check.NoError(t, err)
	_, err = directory.DeleteOrganization(ctx, &identityv1.DeleteOrganizationRequest{Id: o.GetId()})
	wantError(t, err, apierr.FailedPrecondition, "ORGANIZATION_NOT_EMPTY")
	_, err = directory.DeleteOrganization(ctx, &identityv1.DeleteOrganizationRequest{Id: uuid.NewString()})
	wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
}

// A personal organization is called like its user, so a name that erasure must reach is beside the event, not in it.
func TestNamesOfOrganizationsArePersonal(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewOrganizationDirectoryServiceClient(s.As("auth"))
	id := uuid.NewString()
	_, err := directory.CreateOrganization(t.Context(), &identityv1.CreateOrganizationRequest{Id: id, DisplayName: "Ada"})
	check.NoError(t, err)
	_, err = directory.UpdateOrganization(t.Context(), &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: id, DisplayName: "Ada Lovelace"},
	})
	check.NoError(t, err)
	events := s.Events(t)
	if len(events) != 2 {
		t.Fatalf("got %+v", events)
	}
	for _, e := range events {
		if len(e.Changes) != 1 || !e.Changes[0].Personal {
			t.Errorf("%s: got %+v", e.Action, e.Changes)
		}
	}
}

func TestListOrganizations(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewOrganizationDirectoryServiceClient(s.As("auth"))
	ctx := t.Context()
	var last string
	for _, name := range []string{"a", "b", "c"} {
		r, err := directory.CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{Id: uuid.NewString(), DisplayName: name})
		check.NoError(t, err)
		last = r.GetOrganization().GetId()
	}
	page, err := directory.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageSize: 2})
	check.NoError(t, err)
	if len(page.GetOrganizations()) != 2 || page.GetNextPageToken() == "" {
		t.Fatalf("got %v", page)
	}
	rest, err := directory.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageToken: page.GetNextPageToken()})
	check.NoError(t, err)
	if len(rest.GetOrganizations()) != 1 || rest.GetOrganizations()[0].GetId() != last || rest.GetNextPageToken() != "" {
		t.Fatalf("got %v", rest)
	}
	filtered, err := directory.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{Filter: `display_name = "b"`})
	check.NoError(t, err)
	if len(filtered.GetOrganizations()) != 1 || filtered.GetOrganizations()[0].GetDisplayName() != "b" {
		t.Fatalf("got %v", filtered)
	}
	_, err = directory.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageToken: page.GetNextPageToken(), Filter: `display_name = "b"`})
	wantViolation(t, err, "page_token", "page_token")
	_, err = directory.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{Filter: `email = "b"`})
	wantViolation(t, err, "filter", "filter")
}
