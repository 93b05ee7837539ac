package archtest

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// streamingMethod is a method of a contract of which either side streams: its name, and "stream "
// on each side that does.
var streamingMethod = regexp.MustCompile(`(?m)^\s*rpc (\w+)\((stream )?[\w.]+\) returns \((stream )?[\w.]+\)`)

// Every streaming method of a service has its test TestStreaming… in internal/api, which runs the
// suite of internal/testkit/streamtest: `go test ./services/.../internal/api/... -run Streaming`
// never runs less than that.
func TestEveryStreamRunsTheSuite(t *testing.T) {
	root := os.DirFS("../..")
	contracts, err := fs.Glob(root, "proto/gatehouse/*/v1/*.proto")
	if err != nil {
		t.Fatal(err)
	}
	methods := 0
	for _, contract := range contracts {
		text, err := fs.ReadFile(root, contract)
		if err != nil {
			t.Fatal(err)
		}
		service := strings.Split(contract, "/")[2]
		for _, m := range streamingMethod.FindAllStringSubmatch(string(text), -1) {
			if m[2] == "" && m[3] == "" {
				continue
			}
			methods++
			api := path.Join("services", service, "internal/api")
			if test := "func TestStreaming" + m[1] + "(t *testing.T)"; !tested(t, root, api, test) {
				t.Errorf("%s streams and %s has no `%s` that calls streamtest.Run: write it as the package's documentation says", m[1], api, test)
			}
		}
	}
	if methods < 3 {
		t.Errorf("the contracts have %d streaming methods that this test can read", methods)
	}
}

// tested reports whether a test of a folder has the function, and runs the suite.
func tested(t *testing.T, root fs.FS, folder, function string) bool {
	t.Helper()
	files, err := fs.Glob(root, folder+"/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			t.Fatal(err)
		}
		if _, body, found := strings.Cut(string(text), function); found {
			body, _, _ = strings.Cut(body, "\n}\n")
			return strings.Contains(body, "streamtest.Run(t, ")
		}
	}
	return false
}
