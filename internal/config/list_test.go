package config

import (
	"io"
	"slices"
	"testing"
)

func TestListTakesBlanks(t *testing.T) {
	for name, c := range map[string]struct {
		args, env []string
		want      List
	}{
		"none":          {},
		"empty":         {env: []string{"GATEHOUSE_X_LIST="}},
		"only blanks":   {env: []string{"GATEHOUSE_X_LIST= , "}},
		"variable":      {env: []string{"GATEHOUSE_X_LIST=a, b ,\tc,"}, want: List{"a", "b", "c"}},
		"flag":          {args: []string{"--list", " a, b"}, want: List{"a", "b"}},
		"flag twice":    {args: []string{"--list=a", "--list=b,c"}, want: List{"a", "b", "c"}},
		"flag prevails": {args: []string{"--list=a"}, env: []string{"GATEHOUSE_X_LIST=b"}, want: List{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			var cli struct {
				List List `name:"list" env:"GATEHOUSE_X_LIST"`
			}
			if _, err := parse("x", &cli, c.args, c.env, io.Discard, noExit(t)); err != nil || !slices.Equal(cli.List, c.want) {
				t.Errorf("%q, %v, want %q", cli.List, err, c.want)
			}
		})
	}
}
