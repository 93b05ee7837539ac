package rest

import (
	"context"
	"net/http"
	"net/url"
)

// Mail is a mail that waits, or that the mail server refused for good.
type Mail struct {
	ID       string `json:"id"`
	Attempts int    `json:"attempts"`
	Reason   string `json:"reason"` // why the last attempt failed
	Parked   bool   `json:"parked"`
}

const mailsPath = "/api/v1/mails"

// SendTestMail queues a mail that says that mail arrives.
func (c *Client) SendTestMail(ctx context.Context, to string) (Mail, error) {
	var answer struct {
		Mail Mail `json:"mail"`
	}
	_, err := c.call(ctx, http.MethodPost, mailsPath+":test", nil, map[string]string{"email": to}, &answer)
	return answer.Mail, err
}

// GetMail returns a mail that waits or is parked; one that was accepted is a *Problem of status
// 404.
func (c *Client) GetMail(ctx context.Context, id string) (mail Mail, err error) {
	_, err = c.call(ctx, http.MethodGet, mailsPath+"/"+url.PathEscape(id), nil, nil, &mail)
	return mail, err
}
