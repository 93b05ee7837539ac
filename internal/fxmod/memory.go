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

// GCPercent is the part that sets how much of the live heap may become garbage before the Go runtime
// collects, as GOGC does, for programs with a memory limit. An operator's GOGC stands.
func GCPercent(percent int) Part {
	return Part{Name: "the garbage collector", Start: func(context.Context) error {
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(percent)
		}
		return nil
	}}
}
