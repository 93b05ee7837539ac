// Package host is what the machine has that a platform runs on: versions of the programs that are
// installed, who listens on its ports, users that nobody else has.
//
// Linux only.
package host

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

//go:embed floor.json
var floorJSON []byte

// Version is a release number of a program that the platform runs. It is compared with what is
// supported here, and with the floor for production (floor.json, the one place that says it).
type Version struct{ Major, Minor, Patch int }

// String returns the usual form, such as "1.22.0".
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// AtLeast reports whether v is min or newer.
func (v Version) AtLeast(least Version) bool {
	if v.Major != least.Major {
		return v.Major > least.Major
	}
	if v.Minor != least.Minor {
		return v.Minor > least.Minor
	}
	return v.Patch >= least.Patch
}

var number = regexp.MustCompile(`(\d+)\.(\d+)\.(\d+)`)

// ParseVersion finds the first release number in a text, such as the answer to --version.
func ParseVersion(text string) (Version, error) {
	m := number.FindStringSubmatch(text)
	if m == nil {
		return Version{}, errors.New("it names no version")
	}
	var v Version
	for i, field := range []*int{&v.Major, &v.Minor, &v.Patch} {
		n, err := strconv.Atoi(m[i+1])
		if err != nil {
			return Version{}, fmt.Errorf("read the version %q: %w", m[0], err)
		}
		*field = n
	}
	return v, nil
}

// Floor is the lowest version of one program for production. Branches lists patched releases of
// older lines: a version of the same major and minor number from that patch on is fine too, and so
// is every line newer than the newest branch.
type Floor struct {
	Program  string   `json:"program"`
	Branches []string `json:"branches"`
	Why      string   `json:"why"`
}

// Floors returns the production floor.
func Floors() ([]Floor, error) {
	var all []Floor
	if err := json.Unmarshal(floorJSON, &all); err != nil {
		return nil, fmt.Errorf("read floor.json: %w", err)
	}
	return all, nil
}

// Below returns one sentence when the version of the program is below the production floor, else
// nothing.
func Below(program string, v Version) (string, error) {
	floors, err := Floors()
	if err != nil {
		return "", err
	}
	for _, f := range floors {
		if f.Program != program {
			continue
		}
		ok, err := f.holds(v)
		if ok || err != nil {
			return "", err
		}
		return fmt.Sprintf("%s %s is below the floor for production (%s): %s", program, v, f.text(), f.Why), nil
	}
	return "", nil
}

func (f Floor) holds(v Version) (bool, error) {
	var newest Version
	for _, text := range f.Branches {
		branch, err := ParseVersion(text)
		if err != nil {
			return false, fmt.Errorf("floor of %s: %w", f.Program, err)
		}
		if v.Major == branch.Major && v.Minor == branch.Minor {
			return v.AtLeast(branch), nil
		}
		if branch.AtLeast(newest) {
			newest = branch
		}
	}
	return v.AtLeast(newest), nil
}

func (f Floor) text() string {
	text := ""
	for i, b := range f.Branches {
		if i > 0 {
			text += " / "
		}
		text += b
	}
	return text
}
