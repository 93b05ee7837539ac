package app

import (
	"os"
	"runtime"
	"runtime/debug"
)

const (
	// besides is what the Go runtime of this program may hold without hashes; at rest it holds 18
	// MiB.
	besides = 48 << 20
	// collectorPace is the GOGC of this program: the pool of hashes says when to collect, and the
	// collector by itself is for the rest.
	collectorPace = 400
)

// memoryLimit is the most that the Go runtime should hold, in bytes, while so many hashes of so
// many KiB are made at a time: theirs, and half as much again that ended ones left behind.
func memoryLimit(hashKiB uint32, hashes int) int64 {
	return besides + int64(hashes)*int64(hashKiB)<<10*3/2
}

// paceCollector sets the memory limit and returns how the pool of hashes has its garbage collected.
// An operator's GOMEMLIMIT stands. For one who set that or GOGC the collector runs as Go has it
// with what was set: its pace stays, and the pool does not call it.
func paceCollector(limit int64) (collect func()) {
	ownLimit, ownPace := os.Getenv("GOMEMLIMIT") != "", os.Getenv("GOGC") != ""
	if !ownLimit {
		debug.SetMemoryLimit(limit)
	}
	if ownLimit || ownPace {
		return nil
	}
	debug.SetGCPercent(collectorPace)
	return runtime.GC
}
