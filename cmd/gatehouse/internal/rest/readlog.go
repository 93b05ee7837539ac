package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/loop"
)

// readTries is how often a read of the log is taken up again without a leaf in between.
const readTries = 5

// LogRead reads the leaves of a log.
type LogRead struct {
	Size   int64                            // of the tree
	Edge   func(checkpoints []string) error // signed where no hash is stored beside events, smallest first; told before the leaves
	Each   func(auditlog.Stored)
	next   int64 // leaf
	begun  bool
	done   bool
	failed error // by Edge
	tries  int
}

// ReadLog hands over all leaves of the tree, in their order; it is taken up again where it breaks.
func (c *Client) ReadLog(ctx context.Context, r *LogRead) error {
	reading, end := context.WithCancel(ctx)
	defer end()
	err := loop.Resume(reading, loop.Stream{
		Silence: silence, Pause: c.Pause,
		Read: func(ctx context.Context, _ string, heard func(string)) error {
			r.tries++
			query := url.Values{"start": {strconv.FormatInt(r.next, 10)}, "size": {strconv.FormatInt(r.Size, 10)}}
			return c.renewed(ctx, c.read(ctx, "/api/v1/audit/log:read", query, "", func(line json.RawMessage) error {
				err := r.take(line)
				if err == nil && r.done {
					end()
				}
				return err
			}, heard))
		},
		Final: func(err error) bool { return final(err) || r.failed != nil || r.tries > readTries },
	})
	if err == nil && !r.done {
		err = ctx.Err()
	}
	return err
}

// take takes one message.
func (r *LogRead) take(line json.RawMessage) error {
	var message struct {
		Checkpoints []string `json:"checkpoints"`
		Leaves      []struct {
			Index     number `json:"index"`
			Canonical []byte `json:"canonical"`
			Hash      []byte `json:"hash"`
			Removed   bool   `json:"removed"`
			Lost      bool   `json:"lost"`
		} `json:"leaves"`
		End bool `json:"end"`
	}
	if err := json.Unmarshal(line, &message); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if !r.begun {
		r.begun = true
		if r.failed = r.Edge(message.Checkpoints); r.failed != nil {
			return r.failed
		}
	}
	for _, l := range message.Leaves {
		s := auditlog.Stored{Index: int64(l.Index), Canonical: l.Canonical, Removed: l.Removed, Lost: l.Lost}
		if len(l.Canonical) == 0 {
			s.Canonical = nil
		}
		if len(l.Hash) > 0 {
			copy(s.Leaf[:], l.Hash)
		} else {
			s.Leaf = auditlog.LeafHash(l.Canonical)
		}
		r.Each(s)
		r.next, r.tries = s.Index+1, 0
	}
	r.done = message.End
	return nil
}
