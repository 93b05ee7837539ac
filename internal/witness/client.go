package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
)

// Limits of what is asked of a witness (R61).
const (
	patience  = 5 * time.Second
	maxAnswer = 64 << 10
	attempts  = 3 // the size that it knows may change in between: another instance asks it too
)

// Client asks one witness. It is safe for concurrent use.
type Client struct {
	address string // without "/add-checkpoint"
	key     auditlog.Witness
	pinned  string // the key's text
	http    *http.Client
}

// Prover gives the proof that the tree of the checkpoint begins with the one of that size, which is
// at least 1 and smaller.
type Prover func(ctx context.Context, size int64) ([]auditlog.Hash, error)

// ConflictError says that the witness claims to have cosigned another tree than the one it was
// asked about: a larger one, or one that this does not begin with. Nobody has signed the claim
// (C2SP tlog-witness, 409 and 422), so whoever can answer in the witness's place can make it: what
// is signed is Latest.
type ConflictError struct {
	Witness string
	Size    int64  // that it has cosigned; 0 when it does not say
	Answer  string // of a refusal
}

// Error names the witness and the claim.
func (e *ConflictError) Error() string {
	if e.Size > 0 {
		return fmt.Sprintf("the witness %s says that it has cosigned another tree, of %d events", e.Witness, e.Size)
	}
	return fmt.Sprintf("the witness %s says that the tree does not follow on the one that it has cosigned: %.200q", e.Witness, e.Answer)
}

// NewClient returns a client of the witness at a URL, its submission prefix and its monitoring
// prefix alike, whose cosignatures are those of the verifier key. The URL is of https; of http only
// on this machine. Where it leads is the operator's word, so a private network is fine; a
// link-local address is none.
func NewClient(address, verifierKey string) (*Client, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Host == "", u.User != nil, u.RawQuery != "", u.Fragment != "", u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("the witness's address %q is none: give https://HOST[:PORT][/PATH]", address)
	case u.Scheme == "http" && !onThisMachine(u.Hostname()):
		return nil, fmt.Errorf("the witness's address %q: use https, http is for a witness on this machine alone", address)
	}
	key, err := auditlog.ParseWitness(verifierKey)
	if err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: patience, ControlContext: allowed(u.Scheme == "http")}
	return &Client{
		address: strings.TrimSuffix(u.String(), "/"), key: key, pinned: strings.TrimSpace(verifierKey),
		http: &http.Client{
			Timeout:       patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext: dialer.DialContext, TLSHandshakeTimeout: patience, MaxResponseHeaderBytes: maxAnswer, IdleConnTimeout: time.Minute,
				TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true,
			},
		},
	}, nil
}

func onThisMachine(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// allowed looks at the address that a name has led to, each time.
func allowed(local bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		ip := to.Addr().Unmap()
		switch {
		case err != nil || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast():
			return fmt.Errorf("a witness is not asked at %s", address)
		case local && !ip.IsLoopback():
			return fmt.Errorf("a witness is asked at %s over https alone", address)
		}
		return nil
	}
}

// Name is the name of the witness.
func (c *Client) Name() string { return c.key.Name() }

// Close drops connections that are kept for the next question.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Cosign has the witness cosign a signed checkpoint, and verifies what it answers. What the witness
// knows already it says itself: the proof is asked for from there on. A *ConflictError says that it
// claims to know another tree.
func (c *Client) Cosign(ctx context.Context, checkpoint []byte, prove Prover) (auditlog.Cosignature, error) {
	own, err := auditlog.ParseNote(checkpoint)
	if err != nil {
		return auditlog.Cosignature{}, err
	}
	size := own.Size
	var old int64
	for range attempts {
		r := request{old: old, note: checkpoint}
		if 0 < old && old < size {
			if r.proof, err = prove(ctx, old); err != nil {
				return auditlog.Cosignature{}, fmt.Errorf("prove what follows size %d to the witness %s: %w", old, c.Name(), err)
			}
		}
		answer, known, err := c.ask(ctx, r, size)
		switch {
		case err != nil:
			return auditlog.Cosignature{}, err
		case answer == nil:
			old = known
			continue
		}
		cosigned, said, err := c.key.Read(append(bytes.Clone(checkpoint), answer...))
		if err == nil && cosigned != own {
			err = errors.New("it is of another checkpoint")
		}
		if err != nil {
			return auditlog.Cosignature{}, fmt.Errorf("read the answer of the witness %s: %w", c.Name(), err)
		}
		return said, nil
	}
	return auditlog.Cosignature{}, fmt.Errorf("the witness %s was asked by others in between, %d times", c.Name(), attempts)
}

// ask sends one request about a tree of that size: the answer is the lines of the note, or else the
// size that the witness knows.
func (c *Client) ask(ctx context.Context, r request, size int64) (lines []byte, known int64, err error) {
	status, text, err := c.do(ctx, http.MethodPost, "/add-checkpoint", r.text())
	switch {
	case err != nil:
		return nil, 0, err
	case status == http.StatusConflict:
		known, err := strconv.ParseInt(strings.TrimSuffix(string(text), "\n"), 10, 64)
		switch {
		case err == nil && known > 0 && (known > size || known == size && known == r.old): // as revisions of before say of two trees of one size
			return nil, 0, &ConflictError{Witness: c.Name(), Size: known}
		case err != nil || known < 0 || known == r.old:
			return nil, 0, c.asking(errors.New("it answers 409 without the size that it knows"))
		}
		return nil, known, nil
	case status == http.StatusUnprocessableEntity:
		return nil, 0, &ConflictError{Witness: c.Name(), Answer: string(text)}
	case status != http.StatusOK:
		return nil, 0, c.asking(fmt.Errorf("it answers %d: %.200q", status, text))
	case len(text) == 0:
		return nil, 0, c.asking(errors.New("it answers nothing"))
	}
	return text, 0, nil
}

// Latest is the last checkpoint of a log that the witness shows to whoever asks (C2SP tlog-witness,
// Monitor Retrieval Mechanism), signed by one of these keys of the log and cosigned by the witness.
// It may be an hour old, and is no witness's duty.
func (c *Client) Latest(ctx context.Context, origin string, logKeys []string) (auditlog.Signed, error) {
	keys, err := auditlog.ParseKeys(logKeys, []string{c.pinned})
	if err != nil {
		return auditlog.Signed{}, err
	}
	status, text, err := c.do(ctx, http.MethodGet, "/"+originHash(origin)+"/checkpoint", nil)
	if err == nil && status != http.StatusOK {
		err = c.asking(fmt.Errorf("it shows no checkpoint of %s, and answers %d", origin, status))
	}
	if err != nil {
		return auditlog.Signed{}, err
	}
	shown, err := keys.Open(text)
	switch {
	case err != nil:
	case shown.Origin != origin:
		err = fmt.Errorf("it is one of %s", shown.Origin)
	case len(shown.Cosignatures) == 0:
		err = errors.New("the witness has not cosigned it")
	}
	if err != nil {
		return auditlog.Signed{}, fmt.Errorf("read the checkpoint of %s that the witness %s shows: %w", origin, c.Name(), err)
	}
	return shown, nil
}

// do sends one request and reads the answer.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (status int, text []byte, err error) {
	question, err := http.NewRequestWithContext(ctx, method, c.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, c.asking(err)
	}
	if method == http.MethodPost {
		question.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	answer, err := c.http.Do(question)
	if err != nil {
		return 0, nil, c.asking(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(text) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if err != nil {
		return 0, nil, c.asking(err)
	}
	return answer.StatusCode, text, nil
}

func (c *Client) asking(err error) error { return fmt.Errorf("ask the witness %s: %w", c.Name(), err) }
