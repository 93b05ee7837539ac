package supervise

import (
	"fmt"
	"io"
	"os"

	"github.com/gatehouse/gatehouse/internal/owned"
)

// openLog opens a log file for appending. The child writes to it directly: nothing is lost and nothing is copied when the supervisor
// is slow or dies.
func openLog(path string) (*os.File, error) {
	f, err := owned.Open(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}

// bound moves the content of a log file that has grown over limit bytes to <path>.1 and empties it. Its writer appends, so it goes on
// at the new end; lines written between copy and truncation are lost, which a size bound is allowed to cost.
func bound(path string, limit int64) error {
	info, err := os.Lstat(path)
	if err != nil || info.Size() <= limit {
		return nil // a missing file has no size
	}
	from, err := owned.Open(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	defer func() { _ = from.Close() }()
	if _, err := from.Seek(-limit, io.SeekEnd); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	to, err := owned.Open(path+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	_, err = io.Copy(to, io.LimitReader(from, limit))
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	if err := from.Truncate(0); err != nil {
		return fmt.Errorf("rotate log: %w", err)
	}
	return nil
}
