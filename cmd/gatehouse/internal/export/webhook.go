package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Limits of a call of a webhook (R61).
const (
	webhookTimeout = 5 * time.Second
	webhookAnswer  = 1 << 20 // bytes that are read of an answer
)

// WebhookParams are what a Webhook is made of.
type WebhookParams struct {
	URL     string
	Secret  string      // whsec_ and 24 to 64 bytes in base64
	TLS     *tls.Config // nil trusts what the system trusts
	Private bool        // addresses of this machine and of private networks are called, too
	List    bool        // lines are JSON, and are sent as one list of CloudEvents
	Now     func() time.Time
}

// Webhook is an HTTP server that is called with each batch, signed by the scheme of Standard
// Webhooks 1.0: HMAC-SHA256 over id, time and body. The id is made of the body, so that a batch
// that is sent again has the same, and one with more or fewer events another.
type Webhook struct {
	url    string
	host   string
	list   bool
	signer *standardwebhooks.Webhook
	client *http.Client
	now    func() time.Time
}

// NewWebhook refuses addresses that are not https, but for those of this machine where private ones
// are allowed.
func NewWebhook(p WebhookParams) (*Webhook, error) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return nil, errors.New("the webhook is no address: write it as https://host/path, without a user and a fragment")
	case u.Scheme == "http" && p.Private && ofThisMachine(u.Hostname()):
	case u.Scheme != "https":
		return nil, errors.New("the webhook would be told events in clear: give an https:// address")
	}
	signer, err := signerOf(p.Secret)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: webhookTimeout}
	if !p.Private {
		dialer.ControlContext = publicOnly
	}
	return &Webhook{
		url: p.URL, host: u.Host, list: p.List, signer: signer, now: p.Now,
		client: &http.Client{
			Timeout:       webhookTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{ // no proxy: the address that is looked at is the one that is called
				DialContext: dialer.DialContext, TLSClientConfig: p.TLS, TLSHandshakeTimeout: webhookTimeout, ForceAttemptHTTP2: true,
				MaxResponseHeaderBytes: webhookAnswer, IdleConnTimeout: time.Minute,
			},
		},
	}, nil
}

// signerOf refuses a secret that is none, and one that can be guessed.
func signerOf(secret string) (*standardwebhooks.Webhook, error) {
	key, err := keyOf(secret)
	if err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("the secret of the webhook is not whsec_ and 24 to 64 bytes in base64: make one with `echo whsec_$(openssl rand -base64 32)`")
	}
	return standardwebhooks.NewWebhookRaw(key)
}

// Deliver calls the webhook once. An answer of 2xx is the acknowledgement.
func (w *Webhook) Deliver(ctx context.Context, b Batch) error {
	body, kind := bytes.Join(b.Lines, nil), "application/x-ndjson"
	if w.list {
		body, kind = listOf(b.Lines), "application/cloudevents-batch+json"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return Final(fmt.Errorf("call the webhook at %s: %w", w.host, cause(err)))
	}
	sum := sha256.Sum256(body)
	id, at := "msg_"+hex.EncodeToString(sum[:16]), w.now()
	signature, err := w.signer.Sign(id, at, body)
	if err != nil {
		return Final(fmt.Errorf("sign for the webhook: %w", err))
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("User-Agent", "gatehouse-audit-export")
	request.Header.Set(standardwebhooks.HeaderWebhookID, id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	answer, err := w.client.Do(request)
	if err != nil {
		return called(w.host, err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, webhookAnswer)) // its words do not matter, its end lets the connection be used again
	return answered(w.host, answer.StatusCode)
}

// called is an error without the address, whose path or query may be a secret.
func called(host string, err error) error {
	err = fmt.Errorf("call the webhook at %s: %w", host, cause(err))
	if errors.Is(err, errNotPublic) {
		return Final(err)
	}
	return err
}

// cause is what is wrong without the URL that net/http names.
func cause(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// answered is what a status means: whoever is busy is asked again, who refuses is not.
func answered(host string, status int) error {
	if status/100 == 2 {
		return nil
	}
	err := fmt.Errorf("the webhook at %s answers %d %s", host, status, http.StatusText(status))
	switch {
	case status/100 == 3:
		return Final(fmt.Errorf("%w: redirects are not followed, give the address itself", err))
	case status == http.StatusRequestEntityTooLarge:
		return Final(fmt.Errorf("%w: lower --batch", err))
	case status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusConflict && status != http.StatusTooEarly &&
		status != http.StatusTooManyRequests:
		return Final(fmt.Errorf("%w: it refuses the events, which are kept: mend it and start again", err))
	}
	return err
}

// listOf is lines of JSON as one list.
func listOf(lines [][]byte) []byte {
	list := []byte{'['}
	for i, line := range lines {
		if i > 0 {
			list = append(list, ',')
		}
		list = append(list, bytes.TrimSuffix(line, []byte("\n"))...)
	}
	return append(list, ']')
}
