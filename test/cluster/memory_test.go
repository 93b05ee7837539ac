package cluster_test

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mostMemory is what all processes of the three hosts may have together, in KiB of PSS: what they
// share is counted once.
const mostMemory = 3 << 20

var pss = regexp.MustCompile(`(?m)^Pss:\s+(\d+) kB`)

func TestMemory(t *testing.T) {
	running(t)
	own, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	byName, sum, count := map[string]int{}, 0, 0
	paths, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if space, err := os.Readlink(path + "/ns/pid"); err != nil || space == own {
			continue // it has ended, or is no host's
		}
		raw, err := os.ReadFile(path + "/smaps_rollup")
		name, nameErr := os.ReadFile(path + "/cmdline")
		found := pss.FindSubmatch(raw)
		if err != nil || nameErr != nil || found == nil {
			continue // it has ended
		}
		kib, err := strconv.Atoi(string(found[1]))
		if err != nil {
			t.Fatal(err)
		}
		words := strings.Split(string(name), "\x00")
		words[0], _, _ = strings.Cut(filepath.Base(words[0]), ":") // PostgreSQL tells there what it does
		byName[strings.Join(words[:min(2, len(words))], " ")] += kib
		sum, count = sum+kib, count+1
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(byName[b], byName[a]) })
	for _, name := range names {
		t.Logf("%6d MiB  %s", byName[name]>>10, name)
	}
	t.Logf("%6d MiB  %d processes", sum>>10, count)
	if count < 10 || sum > mostMemory {
		t.Errorf("%d MiB in %d processes, at most %d MiB may be", sum>>10, count, mostMemory>>10)
	}
}
