package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/resource/mask"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// UpdateUser changes the fields that the mask names.
func (s *UserService) UpdateUser(ctx context.Context, r *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error) {
	if err := requireUUID("user.id", r.GetUser().GetId()); err != nil {
		return nil, err
	}
	scope, err := reach(ctx, r.GetUser().GetId())
	if err != nil {
		return nil, err
	}
	named, err := mask.Changed(r.GetUpdateMask(), "user", r.GetUser(), "display_name", "locale", "time_zone")
	if err != nil {
		return nil, err
	}
	var c user.Changes
	if named("display_name") {
		c.DisplayName = &r.GetUser().DisplayName
	}
	if named("locale") {
		c.Locale = &r.GetUser().Locale
	}
	if named("time_zone") {
		c.TimeZone = &r.GetUser().TimeZone
	}
	u, err := s.users.Update(ctx, scope, r.GetUser().GetId(), r.GetEtag(), c)
	if err != nil {
		return nil, err
	}
	return &identityv1.UpdateUserResponse{User: userMessage(u)}, nil
}
