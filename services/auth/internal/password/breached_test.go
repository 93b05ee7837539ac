package password

import (
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// breachedFile is a list of passwords as it is published.
func breachedFile(t *testing.T, line func(hash string) string, passwords ...string) string {
	t.Helper()
	var lines []string
	for _, p := range passwords {
		lines = append(lines, line(fmt.Sprintf("%X", sha1.Sum([]byte(p)))))
	}
	slices.Sort(lines)
	return written(t, strings.Join(lines, ""))
}

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "breached")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBreached(t *testing.T) { // R4
	var passwords []string
	for i := range 1000 {
		passwords = append(passwords, fmt.Sprintf("somebody's password %d", i))
	}
	for name, line := range map[string]func(string) string{
		"as published":  func(hash string) string { return fmt.Sprintf("%s:%d\r\n", hash, len(hash)*int(hash[0])*int(hash[1])) },
		"hashes alone":  func(hash string) string { return hash + "\n" },
		"in lower case": func(hash string) string { return strings.ToLower(hash) + "\n" },
	} {
		t.Run(name, func(t *testing.T) {
			list, err := OpenBreached(breachedFile(t, line, passwords...))
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range passwords {
				v, err := Policy{Breached: list}.Check(p)
				if err != nil || v == nil || v.Rule != "password.breached" {
					t.Fatalf("%q: %v, %v", p, v, err)
				}
			}
			for i := range 1000 {
				if v, err := (Policy{Breached: list}).Check(fmt.Sprintf("nobody's password %d", i)); err != nil || v != nil {
					t.Fatalf("%v, %v", v, err)
				}
			}
		})
	}
}

// The last line may lack its end, and one line is a list.
func TestBreachedOfOneLine(t *testing.T) {
	list, err := OpenBreached(breachedFile(t, func(hash string) string { return hash }, "correct horse battery staple"))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := list.Contains("correct horse battery staple"); err != nil || !found {
		t.Fatalf("%t, %v", found, err)
	}
}

func TestOpenBreachedRefuses(t *testing.T) {
	a, b := strings.Repeat("A", 40), strings.Repeat("B", 40)
	for name, c := range map[string]struct{ path, want string }{
		"nothing there":    {filepath.Join(t.TempDir(), "none"), "no such file"},
		"a folder":         {t.TempDir(), "is not a file"},
		"empty":            {written(t, ""), "is empty"},
		"not sorted":       {written(t, b+"\n"+a+"\n"), "is not sorted"},
		"passwords":        {written(t, "123456\nqwerty\n"), "is no list of breached passwords at byte 0"},
		"other hashes":     {written(t, strings.Repeat("A", 64)+"\n"), "is no list of breached passwords"},
		"not in hex":       {written(t, strings.Repeat("X", 40)+"\n"), "is no list of breached passwords"},
		"one line endless": {written(t, strings.Repeat("A", 4096)), "is no list of breached passwords"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := OpenBreached(c.path); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
		})
	}
}

// What was not seen when the file was opened is an error then, never "not in it".
func TestBreachedThatIsBroken(t *testing.T) {
	list, err := OpenBreached(breachedFile(t, func(hash string) string { return hash + "\n" }, "a", "b", "c"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list.name, []byte(strings.Repeat("-", int(list.size))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Policy{Breached: list}).Check("correct horse battery staple"); err == nil {
		t.Fatal("no error")
	}
}
