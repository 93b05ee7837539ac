package archtest

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The changelog has the form of Keep a Changelog: what is unreleased first, then versions with their
// days, the newest first, and in each the kinds of changes once and in one order.
func TestTheChangelog(t *testing.T) {
	raw, err := os.ReadFile("../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(raw), "\n## ")[1:]
	if len(sections) < 2 || !strings.HasPrefix(sections[0], "[Unreleased]\n") {
		t.Fatal("it does not begin with what is unreleased, or has no version")
	}
	var last []int
	for _, section := range sections[1:] {
		heading, _, _ := strings.Cut(section, "\n")
		found := regexp.MustCompile(`^\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)$`).FindStringSubmatch(heading)
		if found == nil {
			t.Errorf("%q is no version with its day", heading)
			continue
		}
		if _, err := time.Parse(time.DateOnly, found[4]); err != nil {
			t.Error(err)
		}
		var version []int
		for _, part := range found[1:4] {
			n, err := strconv.Atoi(part)
			if err != nil {
				t.Fatal(err)
			}
			version = append(version, n)
		}
		if last != nil && slices.Compare(version, last) >= 0 {
			t.Errorf("%s stands below an older version", heading)
		}
		last = version
	}
	order := []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
	for _, section := range sections {
		at := -1
		for _, kind := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(section, -1) {
			now := slices.Index(order, kind[1])
			if now <= at {
				t.Errorf("%q is no kind of change, is there twice or stands too late in:\n%.40s", kind[1], section)
			}
			at = max(at, now)
		}
	}
}
