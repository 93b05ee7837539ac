package grpcserver

import (
	"sync"
	"time"
)

// Bounds of what refusals are told apart by. Somebody who tries one object after the other is named with the first ones, then counted
// with all the others as one: neither a flood nor a hidden target gets into the trail that way.
const (
	maxDeniedObjects  = 10     // of one subject within a minute
	maxDeniedSubjects = 10_000 // of this process within a minute
)

// denialKeys makes the keys under which denials are counted.
type denialKeys struct {
	now func() time.Time

	mu     sync.Mutex
	minute time.Time
	seen   map[string]map[string]struct{} // objects by subject
}

// key is the subject with the object, or the subject alone beyond the bounds.
func (k *denialKeys) key(subject, object string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if minute := k.now().Truncate(time.Minute); !k.minute.Equal(minute) || k.seen == nil {
		k.minute, k.seen = minute, map[string]map[string]struct{}{}
	}
	objects := k.seen[subject]
	if objects == nil {
		if len(k.seen) >= maxDeniedSubjects {
			return subject
		}
		objects = map[string]struct{}{}
		k.seen[subject] = objects
	}
	if _, known := objects[object]; !known {
		if len(objects) >= maxDeniedObjects {
			return subject
		}
		objects[object] = struct{}{}
	}
	return subject + " " + object
}
