package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// moment is a time on the command line: RFC 3339, or how long ago it was.
type moment string

// at returns the time; the zero one when nothing is said.
func (m moment) at(flag string, now time.Time) (time.Time, error) {
	if m == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, string(m)); err == nil {
		return at, nil
	}
	ago, err := time.ParseDuration(string(m))
	if days, ok := strings.CutSuffix(string(m), "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		ago = time.Duration(n) * 24 * time.Hour
		if n > 36_500 { // which a duration does not hold for ever
			err = strconv.ErrRange
		}
	}
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("%s is %q: give a time as 2026-11-30T12:00:00Z, or how long ago, as 90m, 2h or 7d", flag, string(m))
	}
	return now.Add(-ago), nil
}

// said names the moment, which is at a time: one that was said as how long ago by these words,
// which are the same tomorrow.
func (m moment) said(at time.Time) string {
	if _, err := time.Parse(time.RFC3339, string(m)); m != "" && err != nil {
		return string(m)
	}
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// span narrows events down to a time.
type span struct {
	Since moment `help:"Only from this time on: RFC 3339, or how long ago, such as 2h or 7d." placeholder:"TIME"`
	Until moment `help:"Only before this time, as --since." placeholder:"TIME"`
}

// times returns both, the zero one for what is not said.
func (s span) times(now time.Time) (since, until time.Time, err error) {
	if since, err = s.Since.at("--since", now); err != nil {
		return since, until, err
	}
	if until, err = s.Until.at("--until", now); err == nil && !since.IsZero() && !until.IsZero() && !since.Before(until) {
		err = errors.New("--until is not after --since: no event is between them")
	}
	return since, until, err
}
