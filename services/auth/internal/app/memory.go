package app

import "github.com/gatehouse/gatehouse/internal/fxmod"

// besides is what the Go runtime of this program may hold without hashes, in bytes; at rest it
// holds 18 MiB.
const besides = 48 << 20

// limitMemory is the part that sets the soft memory limit: what all hashes that are made at a time
// need, and half as much again for memory that waits on another core to be used again.
func limitMemory(c Config) fxmod.Part {
	return fxmod.MemoryLimit(memoryLimit(c.Password.Memory, c.Password.workers()))
}

// memoryLimit is the limit in bytes for so many hashes at a time of so many KiB each.
func memoryLimit(hashKiB uint32, hashes int) int64 {
	return besides + int64(hashes)*int64(hashKiB)<<10*3/2
}
