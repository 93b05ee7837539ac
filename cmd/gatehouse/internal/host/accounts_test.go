package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Platforms side by side share no user, and all are of systemd's range.
func TestPlatformsShareNone(t *testing.T) {
	seen := map[int]int{}
	for offset := 0; offset <= 40000; offset += 1000 {
		chosen, err := choose(offset, each, func(int) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range chosen {
			if other, twice := seen[id]; twice {
				t.Errorf("%d is of offset %d and of %d", id, other, offset)
			}
			seen[id] = offset
			if id < 61184 || id > 65519 {
				t.Errorf("offset %d: %d", offset, id)
			}
		}
	}
}

func TestWhatIsTakenIsPassedOver(t *testing.T) {
	taken := []int{61284, 61286}
	chosen, err := choose(1000, 3, func(id int) bool { return slices.Contains(taken, id) })
	if err != nil || !slices.Equal(chosen, []int{61285, 61287, 61288}) {
		t.Errorf("%v, %v", chosen, err)
	}
	if _, err := choose(0, 1, func(int) bool { return true }); err == nil || !strings.Contains(err.Error(), "--port-offset") {
		t.Errorf("none is free: %v", err)
	}
}

func TestKnown(t *testing.T) {
	if !known(os.Getuid()) || !known(0) || known(first+4000) {
		t.Errorf("this user %t, root %t, nobody's number %t", known(os.Getuid()), known(0), known(first+4000))
	}
}

func TestInUse(t *testing.T) {
	proc := t.TempDir()
	if err := os.Mkdir(filepath.Join(proc, "7"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "Name:\tUid: 5\nPid:\t7\nUid:\t1\t2\t3\t4\nGid:\t11\t11\t11\t11\nGroups:\t21 22 \n"
	if err := os.WriteFile(filepath.Join(proc, "7", "status"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := inUse(proc); err != nil || !slices.Equal(got, []int{1, 2, 3, 4, 11, 11, 11, 11, 21, 22}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := inUse(t.TempDir()); err == nil {
		t.Error("no processes at all: no error")
	}
}

// A number that a process has is not given to another.
func TestAProcessKeepsItsNumber(t *testing.T) {
	want := os.Getuid()
	if want == 0 {
		want = first + 4000 + each - 1 // of the last platform
		child := exec.Command("sleep", "1000")
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(want), Gid: uint32(want)}}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = child.Process.Kill()
			_ = child.Wait()
		})
	}
	if got, err := inUse("/proc"); err != nil || !slices.Contains(got, want) {
		t.Errorf("%d is not among %v, %v", want, got, err)
	}
}
