package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type usersCommand struct {
	Import  usersImportCommand  `cmd:"" help:"Create users without a login from a table; repeating it is safe."`
	Watch   usersWatchCommand   `cmd:"" help:"Print users, then what changes; Ctrl-C ends."`
	Invite  usersInviteCommand  `cmd:"" help:"Mail somebody an invitation to an organization."`
	Resend  usersResendCommand  `cmd:"" help:"Mail an invitation again; the link of before is worthless then."`
	Cancel  usersCancelCommand  `cmd:"" help:"Cancel an invitation that was not accepted."`
	Reset   usersResetCommand   `cmd:"" help:"Mail a user a link with which they choose another password."`
	Suspend usersSuspendCommand `cmd:"" help:"End a user's sessions and keep the user from signing in until restored."`
	Restore usersRestoreCommand `cmd:"" help:"Let a suspended user sign in again."`
}

// importBatch is how many messages are sent at a time: an answer for each is the progress, and what
// is sent again when something breaks. An answer names 1,000 refusals at most, so all of these.
const importBatch = 10

type usersImportCommand struct {
	signInFlags  `embed:""`
	File         string `arg:"" help:"CSV file with a header line: email, and display_name, locale and time_zone if they are known; - is standard input."`
	Organization string `required:"" help:"Organization that the users join." placeholder:"ID"`
}

// Run imports the file.
func (c *usersImportCommand) Run(console *Console) error {
	file := io.ReadCloser(os.Stdin)
	if c.File != "-" {
		var err error
		if file, err = os.Open(c.File); err != nil {
			return fmt.Errorf("the users cannot be read: %w", err)
		}
	}
	defer func() { _ = file.Close() }()
	users, at, err := readUsers(file)
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error { return c.send(ctx, console, client, users, at) })
}

// send imports the users, part by part. at is where they stand in the file.
func (c *usersImportCommand) send(ctx context.Context, console *Console, client *rest.Client, users []rest.ImportedUser, at lines) error {
	var total rest.Imported
	done := 0
	for part := range slices.Chunk(users, importBatch*rest.ImportSize) {
		var messages []rest.Importing
		for some := range slices.Chunk(part, rest.ImportSize) {
			messages = append(messages, rest.Importing{OrganizationID: c.Organization, Users: some})
		}
		answer, err := client.Import(ctx, messages, func(err error) { fmt.Fprintf(console.Err, "gatehouse: %v; trying again\n", err) })
		if err != nil {
			return stopped(err, done, at)
		}
		for _, r := range answer.Refusals {
			console.printf("line %d: %s: %s\n", at.of(done, int(r.Message)-1, r.Index), visible.Text(r.Email), visible.Text(r.Reason))
		}
		done += len(part)
		total.Created, total.Exists, total.Conflicts = total.Created+answer.Created, total.Exists+answer.Exists, total.Conflicts+answer.Conflicts
		fmt.Fprintf(console.Err, "%d of %d users: %d created, %d there before, %d conflicts\n", done, len(users), total.Created, total.Exists, total.Conflicts)
	}
	if total.Conflicts > 0 {
		return fmt.Errorf("%d users were not created, because others have their addresses", total.Conflicts)
	}
	return nil
}

// lines are the lines of a file on which its users begin.
type lines []int

// of is the line of the user at an index of a message, both from 0, after what was done before; 0
// is none.
func (l lines) of(done, message, index int) int {
	if at := done + message*rest.ImportSize + index; at >= 0 && at < len(l) {
		return l[at]
	}
	return 0
}

// stopped says where an import stopped, and that it can be repeated.
func stopped(err error, done int, at lines) error {
	var problem *rest.Problem
	if !errors.As(err, &problem) {
		return fmt.Errorf("%w; at least %d users are imported, and repeating the import is safe", err, done)
	}
	if len(problem.Errors) > 0 {
		var index int
		field, what := problem.Errors[0].Field, problem.Errors[0].Description
		if n, _ := fmt.Sscanf(field, "users[%d]", &index); n == 1 {
			_, column, _ := strings.Cut(field, "].")
			return fmt.Errorf("line %d: %s %s: correct the file and repeat the import, which is safe", at.of(done, problem.Stored, index), visible.Text(column), visible.Text(what))
		}
		err = fmt.Errorf("%w: %s %s", err, visible.Text(field), visible.Text(what))
	}
	return fmt.Errorf("%w; %d users are imported, and repeating the import is safe", err, done+problem.Stored*rest.ImportSize)
}

const byteOrderMark = "\ufeff"

// readUsers reads a table with a header. Spreadsheets put a byte order mark before it.
func readUsers(r io.Reader) (users []rest.ImportedUser, at lines, err error) {
	text := bufio.NewReader(r)
	if mark, _ := text.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = text.Discard(len(byteOrderMark)) // it was peeked
	}
	table := csv.NewReader(text)
	header, err := table.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("read the header of the users: %w", err)
	}
	set := map[string]func(*rest.ImportedUser, string){
		"email":        func(u *rest.ImportedUser, value string) { u.Email = value },
		"display_name": func(u *rest.ImportedUser, value string) { u.DisplayName = value },
		"locale":       func(u *rest.ImportedUser, value string) { u.Locale = value },
		"time_zone":    func(u *rest.ImportedUser, value string) { u.TimeZone = value },
	}
	for _, name := range header {
		if set[name] == nil {
			return nil, nil, fmt.Errorf("the users have a column %q: name the columns email, display_name, locale and time_zone", name)
		}
	}
	if !slices.Contains(header, "email") {
		return nil, nil, errors.New("the users have no column email: add one")
	}
	for {
		row, err := table.Read()
		if errors.Is(err, io.EOF) {
			return users, at, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read the users: %w", err)
		}
		var u rest.ImportedUser
		for i, value := range row {
			set[header[i]](&u, value)
		}
		line, _ := table.FieldPos(0)
		users, at = append(users, u), append(at, line)
	}
}

type usersWatchCommand struct {
	signInFlags  `embed:""`
	Organization string `help:"Only users of this organization." placeholder:"ID"`
	Cursor       string `help:"Go on after this cursor of an earlier stream; with the users there are when empty." placeholder:"CURSOR"`
	Output       string `short:"o" enum:"text,json" default:"text" help:"text, or json: one message a line."`
}

// Run prints users and changes until it is told to stop.
func (c *usersWatchCommand) Run(console *Console) error {
	query := url.Values{}
	if c.Organization != "" {
		query.Set("organization_id", c.Organization)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	return c.session(ctx, console, func(client *rest.Client) error {
		told := 0
		current := false
		return client.FollowUsers(ctx, query, c.Cursor, func(change rest.UserChange) error {
			switch {
			case change.User != nil || change.Deleted != nil:
				told++
				return c.print(console, change)
			case !current:
				current = true
				fmt.Fprintf(console.Err, "%d users so far; what changes follows\n", told)
			}
			return nil
		}, func(err error) { fmt.Fprintf(console.Err, "gatehouse: %v; trying again\n", err) })
	})
}

func (c *usersWatchCommand) print(console *Console, change rest.UserChange) error {
	if c.Output == "json" {
		text, err := oneLine(change.Raw)
		if err == nil {
			console.printf("%s\n", text)
		}
		return err
	}
	what, u := "user   ", change.User
	if u == nil {
		what, u = "deleted", change.Deleted
	}
	state := ""
	if s := strings.ToLower(strings.TrimPrefix(u.State, "STATE_")); s != "" && s != "active" {
		state = "  " + visible.Text(s)
	}
	console.printf("%s  %s  of %s  %s  %s%s\n", what, visible.Text(u.ID), visible.Text(u.OrganizationID), visible.Text(u.Email), visible.Text(u.DisplayName), state)
	return nil
}
