package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
)

// maxProof is the most bytes of an answer that proves something: an event of the largest size with
// all its personal values.
const maxProof = 4 << 20

// number is an integer that JSON of protobuf writes as text.
type number int64

// UnmarshalJSON reads either form.
func (n *number) UnmarshalJSON(text []byte) error {
	value, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	*n = number(value)
	return err
}

// Checkpoint is the newest signed checkpoint, and the verifier keys that the platform says it has.
// Asked for an organization, it needs the right to proofs there, else that on the platform.
func (c *Client) Checkpoint(ctx context.Context, organization string) (note []byte, keys []string, err error) {
	var answer struct {
		Checkpoint string   `json:"checkpoint"`
		Keys       []string `json:"verifier_keys"`
	}
	err = c.proof(ctx, "/api/v1/audit/checkpoint", url.Values{}, organization, &answer)
	return []byte(answer.Checkpoint), answer.Keys, err
}

// Consistency is the proof that the tree of the second size begins with that of the first.
func (c *Client) Consistency(ctx context.Context, first, second int64, organization string) ([]auditlog.Hash, error) {
	var answer struct {
		Hashes [][]byte `json:"hashes"`
	}
	query := url.Values{"first_size": {strconv.FormatInt(first, 10)}, "second_size": {strconv.FormatInt(second, 10)}}
	if err := c.proof(ctx, "/api/v1/audit/consistency", query, organization, &answer); err != nil {
		return nil, err
	}
	return auditlog.Hashes(answer.Hashes)
}

// EventProof is an event as it is stored, and its proof in the tree of that size.
func (c *Client) EventProof(ctx context.Context, id string, size int64, organization string) (auditlog.Entry, error) {
	var answer struct {
		Index     number           `json:"leaf_index"`
		Hashes    [][]byte         `json:"hashes"`
		Canonical []byte           `json:"canonical"`
		Personal  []event.Personal `json:"personal"`
	}
	query := url.Values{"tree_size": {strconv.FormatInt(size, 10)}}
	if err := c.proof(ctx, "/api/v1/audit/events/"+url.PathEscape(id)+"/proof", query, organization, &answer); err != nil {
		return auditlog.Entry{}, err
	}
	proof, err := auditlog.Hashes(answer.Hashes)
	return auditlog.Entry{Index: int64(answer.Index), Canonical: answer.Canonical, Personal: answer.Personal, Proof: proof}, err
}

// proof asks for something that proves.
func (c *Client) proof(ctx context.Context, path string, query url.Values, organization string, to any) error {
	if organization != "" {
		query.Set("organization_id", organization)
	}
	answer, err := c.do(ctx, http.MethodGet, path, query, nil, "application/json")
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxProof)).Decode(to); err != nil {
		return fmt.Errorf("read the answer to %s: %w", path, err)
	}
	return nil
}

// Refused reports whether the gateway answered with the reason of that error.
func Refused(err error, by *apierr.Error) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Reason == by.Reason
}

// ReopenedLog is a new origin of the log.
type ReopenedLog struct {
	Origin     string `json:"origin"`
	Checkpoint string `json:"checkpoint"`  // the last one known of the origin before
	Lost       number `json:"lost_events"` // positions at its end that had no event any more
}

// ReopenLog begins the next origin of the log.
func (c *Client) ReopenLog(ctx context.Context, reason string) (next ReopenedLog, err error) {
	_, err = c.call(ctx, http.MethodPost, "/api/v1/audit/log:reopen", nil, map[string]string{"reason": reason}, &next)
	return next, err
}
