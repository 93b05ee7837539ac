package fxmod

import (
	"context"
	"os"
	"runtime/debug"
)

// MemoryLimit is the part that sets the soft memory limit of the Go runtime, in bytes. An
// operator's GOMEMLIMIT stands.
func MemoryLimit(limit int64) Part {
	return Part{Name: "the memory limit", Start: func(context.Context) error {
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(limit)
		}
		return nil
	}}
}
