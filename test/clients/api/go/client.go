package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/oapi-codegen/runtime/types"

	"example.com/client/gatehouse"
)

func run(ctx context.Context, url, email, password string) error {
	token := ""
	client, err := gatehouse.NewClientWithResponses(url, gatehouse.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return nil
	}))
	if err != nil {
		return err
	}
	wrong, err := client.SignInWithResponse(ctx, gatehouse.SignInRequest{Email: email, Password: "not the password"})
	if err != nil {
		return err
	}
	if err := refused(wrong.ApplicationproblemJSON401, http.StatusUnauthorized, "INVALID_CREDENTIALS"); err != nil {
		return err
	}
	session, err := client.SignInWithResponse(ctx, gatehouse.SignInRequest{Email: email, Password: password})
	if err != nil || session.JSON200 == nil {
		return fmt.Errorf("sign in: %s, %w", session.Status(), err)
	}
	token = session.JSON200.AccessToken
	me, err := client.GetMeWithResponse(ctx, nil)
	if err != nil || me.JSON200 == nil || me.JSON200.User == nil || me.JSON200.User.Email != email {
		return fmt.Errorf("who am I: %v, %w", me, err)
	}
	if err := listed(ctx, client, me.JSON200.User.Id); err != nil {
		return err
	}
	stale, name := `"stale"`, "Ada"
	update, err := client.UpdateUserWithResponse(ctx, me.JSON200.User.Id, &gatehouse.UpdateUserParams{IfMatch: &stale}, gatehouse.UpdateUserRequest{DisplayName: &name})
	if err != nil {
		return err
	}
	if err := refused(update.ApplicationproblemJSON412, http.StatusPreconditionFailed, "ETAG_MISMATCH"); err != nil {
		return err
	}
	return watched(ctx, client)
}

// listed finds a user in the pages of the list.
func listed(ctx context.Context, client *gatehouse.ClientWithResponses, id types.UUID) error {
	size, next := int32(1), ""
	for {
		page, err := client.ListUsersWithResponse(ctx, &gatehouse.ListUsersParams{PageSize: &size, PageToken: &next})
		if err != nil || page.JSON200 == nil {
			return fmt.Errorf("list users: %v, %w", page, err)
		}
		for _, user := range page.JSON200.Users {
			if user.Id == id {
				return nil
			}
		}
		if next = page.JSON200.NextPageToken; next == "" {
			return fmt.Errorf("the list of users does not have %s", id)
		}
	}
}

// watched reads the first message of a stream.
func watched(ctx context.Context, client *gatehouse.ClientWithResponses) error {
	stream, err := client.WatchUsers(ctx, nil)
	if err != nil {
		return err
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	if !lines.Scan() {
		return fmt.Errorf("the stream ended before a line: %w", lines.Err())
	}
	var first gatehouse.WatchUsersResult
	if err := json.Unmarshal(lines.Bytes(), &first); err != nil || first.Cursor == "" {
		return fmt.Errorf("the first message is %q: %w", lines.Bytes(), err)
	}
	return nil
}

// refused says what is not as expected of a problem document.
func refused(problem *gatehouse.Problem, status int, reason string) error {
	if problem == nil || problem.Status != status || problem.Reason != reason {
		return fmt.Errorf("got %+v, want %d %s", problem, status, reason)
	}
	return nil
}
