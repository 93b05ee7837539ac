package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// maxRefusals is how many refusals of an import are named.
const maxRefusals = 1000

// ImportUsers creates users without a login, one message after the other. However it ends, the
// trailer says how many messages are stored.
func (s *UserService) ImportUsers(stream grpc.ClientStreamingServer[identityv1.ImportUsersRequest, identityv1.ImportUsersResponse]) error {
	answer := &identityv1.ImportUsersResponse{}
	defer func() {
		stream.SetTrailer(metadata.Pairs(request.StoredMessagesHeader, strconv.FormatInt(answer.GetMessages(), 10)))
	}()
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(answer)
		}
		if err == nil {
			err = s.importMessage(stream.Context(), r, answer)
		}
		if err != nil {
			return err
		}
	}
}

// importMessage stores one message and adds to the answer what became of it.
func (s *UserService) importMessage(ctx context.Context, r *identityv1.ImportUsersRequest, answer *identityv1.ImportUsersResponse) error {
	users := make([]user.Imported, len(r.GetUsers()))
	for i, u := range r.GetUsers() {
		changes, err := changesOf(r.GetOrganizationId(), u)
		if err != nil {
			return err
		}
		users[i] = user.Imported{
			Email: u.GetEmail(), DisplayName: u.GetDisplayName(), Locale: u.GetLocale(), TimeZone: u.GetTimeZone(), Changes: changes,
		}
	}
	verdicts, token, err := s.users.Import(ctx, r.GetOrganizationId(), users, unbounded(ctx))
	if err != nil {
		return err
	}
	if token != "" { // else the message before has the newest
		request.Wrote(ctx, token)
	}
	answer.Messages++
	for i, verdict := range verdicts {
		switch verdict {
		case user.Made:
			answer.Created++
		case user.Existing:
			answer.Exists++
		case user.Conflict:
			answer.Conflicts++
			if len(answer.GetRefusals()) < maxRefusals {
				answer.Refusals = append(answer.Refusals, &identityv1.ImportRefusal{
					Message: answer.GetMessages(), Index: int32(i), Email: users[i].Email, Reason: reason.EmailTaken().Reason,
				})
			}
		}
	}
	return nil
}

// changesOf is what a message sets of one user, as the event of the user says it: no message of an
// import is about one user, so that the server cannot (auditing.Changes).
func changesOf(organizationID string, u *identityv1.ImportedUser) ([]event.Change, error) {
	var changes []event.Change
	for _, field := range []struct {
		name, value string
		personal    bool
	}{
		{"organization_id", organizationID, false}, {"email", u.GetEmail(), true}, {"display_name", u.GetDisplayName(), true},
		{"locale", u.GetLocale(), true}, {"time_zone", u.GetTimeZone(), true},
	} {
		if field.value == "" {
			continue
		}
		value, err := json.Marshal(field.value)
		if err != nil {
			return nil, err
		}
		changes = append(changes, event.Change{Field: field.name, Value: value, Personal: field.personal})
	}
	return changes, nil
}
