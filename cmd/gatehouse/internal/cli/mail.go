package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/inspect"
	"github.com/gatehouse/gatehouse/internal/client/auth"
	"github.com/gatehouse/gatehouse/internal/visible"
)

type mailCommand struct {
	List mailListCommand `cmd:"" help:"Print the mails that were kept, oldest first."`
	Show mailShowCommand `cmd:"" help:"Print one mail; the newest without an id."`
	Test mailTestCommand `cmd:"" help:"Send somebody a mail, as an administrator, and say what becomes of it."`
}

// mailFlags are those of both commands.
type mailFlags struct {
	stateFlag `embed:""`
	Output    string `short:"o" enum:"text,json" default:"text" help:"text, or json: one mail a line."`
}

// keptMail is a mail of the mailbox.
type keptMail struct {
	ID         string    `json:"id"`
	CreateTime time.Time `json:"create_time"`
	To         string    `json:"to"`
	Subject    string    `json:"subject"`
	Text       string    `json:"text"`

	raw json.RawMessage
}

// mailboxTimeout bounds the reading of all mailboxes.
const mailboxTimeout = 10 * time.Second

// read returns the mails of all instances, oldest first.
func (c *mailFlags) read() ([]keptMail, error) {
	dir, record, def, err := c.runningMesh()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), mailboxTimeout)
	defer cancel()
	var all []keptMail
	for _, s := range inspect.Look(ctx, dir, record, def).Services {
		if s.HTTP == "" || s.Name != auth.Name && s.InstanceOf != auth.Name {
			continue
		}
		found, err := readMailbox(ctx, "http://"+s.HTTP+"/mailbox")
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(a, b keptMail) int { return a.CreateTime.Compare(b.CreateTime) })
	return all, nil
}

func readMailbox(ctx context.Context, url string) ([]keptMail, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read the mailbox: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the mailbox: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, errors.New("the platform keeps no mails: start it with GATEHOUSE_MAIL_MAILBOX=true gatehouse up")
	default:
		return nil, fmt.Errorf("read the mailbox: the answer is %s", response.Status)
	}
	var answer struct {
		Mails []json.RawMessage `json:"mails"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<20)).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the mailbox: %w", err)
	}
	mails := make([]keptMail, len(answer.Mails))
	for i, raw := range answer.Mails {
		if err := json.Unmarshal(raw, &mails[i]); err != nil {
			return nil, fmt.Errorf("read the mailbox: %w", err)
		}
		mails[i].raw = raw
	}
	return mails, nil
}

type mailListCommand struct {
	mailFlags `embed:""`
}

// Run prints a line for each mail.
func (c *mailListCommand) Run(console *Console) error {
	mails, err := c.read()
	if err != nil {
		return err
	}
	for _, m := range mails {
		if c.Output == "json" {
			if err := console.printJSON(m.raw); err != nil {
				return err
			}
			continue
		}
		console.printf("%s  %s  %s  %s\n", visible.Text(m.ID), m.CreateTime.UTC().Format("2006-01-02T15:04:05Z"), visible.Text(m.To), visible.Text(m.Subject))
	}
	return nil
}

type mailShowCommand struct {
	mailFlags `embed:""`
	ID        string `arg:"" optional:"" help:"The mail, as list prints it; the newest one without."`
}

// Run prints a mail as it is read.
func (c *mailShowCommand) Run(console *Console) error {
	mails, err := c.read()
	if err != nil {
		return err
	}
	i := len(mails) - 1
	if c.ID != "" {
		i = slices.IndexFunc(mails, func(m keptMail) bool { return m.ID == c.ID })
	}
	switch {
	case i < 0 && c.ID == "":
		return errors.New("there is no mail yet")
	case i < 0:
		return fmt.Errorf("there is no mail %s: gatehouse mail list shows those there are", c.ID)
	case c.Output == "json":
		return console.printJSON(mails[i].raw)
	}
	m := mails[i]
	console.printf("To: %s\nSubject: %s\n\n%s", visible.Text(m.To), visible.Text(m.Subject), m.Text)
	return nil
}
