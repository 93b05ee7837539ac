package program

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// demo is a program with verbs that end in each way.
type demo struct {
	Serve   works        `cmd:"" default:"withargs" help:"Serve (the default)."`
	Fail    fails        `cmd:"" help:"Fail."`
	Stop    stops        `cmd:"" help:"End with a code."`
	Version PrintVersion `cmd:"" help:"Print the version."`
}

type works struct {
	Text string `name:"text" env:"GATEHOUSE_DEMO_TEXT" default:"hello"`
}

func (w *works) Run(p Process) error {
	_, err := fmt.Fprintln(p.Stdout, p.Name, w.Text)
	return err
}

type fails struct{}

func (fails) Run() error { return errors.New("the disk is full: make room") }

type stops struct{}

func (stops) Run() error { return fmt.Errorf("stopped: %w", ExitCode(3)) }

func TestMainDoesWhatTheVerbSays(t *testing.T) {
	for name, c := range map[string]struct {
		args, environ   []string
		code            int
		stdout, stderr  string
		stderrHasSubstr bool
	}{
		"the default verb":    {nil, nil, 0, "demo hello\n", "", false},
		"its options":         {[]string{"serve", "--text=bye"}, nil, 0, "demo bye\n", "", false},
		"the environment":     {nil, []string{"GATEHOUSE_DEMO_TEXT=hi"}, 0, "demo hi\n", "", false},
		"the version":         {[]string{"version"}, nil, 0, "demo " + Version() + "\n", "", false},
		"a verb that fails":   {[]string{"fail"}, nil, 1, "", "demo: the disk is full: make room\n", false},
		"a code and no words": {[]string{"stop"}, nil, 3, "", "", false},
		"an unknown verb":     {[]string{"sleep"}, nil, 1, "", "sleep", true},
		"an unknown variable": {nil, []string{"GATEHOUSE_DEMO_TEKST=hi"}, 1, "", "GATEHOUSE_DEMO_TEXT", true},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := Process{Name: "demo", Stdout: &stdout, Stderr: &stderr}.run(&demo{}, c.args, c.environ)
			said := stderr.String() == c.stderr
			if c.stderrHasSubstr {
				said = strings.Contains(stderr.String(), c.stderr) && strings.Count(stderr.String(), "\n") == 1
			}
			if code != c.code || stdout.String() != c.stdout || !said {
				t.Errorf("code %d, stdout %q, stderr %q; want %d, %q, %q", code, stdout.String(), stderr.String(), c.code, c.stdout, c.stderr)
			}
		})
	}
}
