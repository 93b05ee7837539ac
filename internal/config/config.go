// Package config reads the configuration of a program: one struct gives flags, GATEHOUSE_<AREA>_<NAME> variables, help and validation.
//
// It is the only package of the kernel that looks at the environment. Each kernel package declares its options as a Config struct that
// a program embeds (`embed:""`); the struct's Validate method reports contradictions. Wiring (cmd, internal/app, internal/fxmod) calls Parse;
// every package may use Secret.
package config

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// prefix starts every environment variable of Gatehouse.
const prefix = "GATEHOUSE_"

// Parse fills cli, a pointer to a kong struct, from args (without the program's name) and environ ("NAME=value" pairs, as os.Environ
// gives them), flags first, and validates every option group of the chosen command. Help goes to w and ends the process.
//
// The error is one sentence that names the flag or variable at fault and says how to fix it.
func Parse(program string, cli any, args, environ []string, w io.Writer) (*kong.Context, error) {
	return parse(program, cli, args, environ, w, os.Exit)
}

func parse(program string, cli any, args, environ []string, w io.Writer, exit func(int)) (*kong.Context, error) {
	parser, names, err := model(program, cli, w, exit)
	if err != nil {
		return nil, err
	}
	env := gatehouseVariables(environ)
	if err := names.refuseUnknown(env); err != nil {
		return nil, err
	}
	if err := kong.Resolvers(resolver{names: names, env: env}).Apply(parser); err != nil {
		return nil, fmt.Errorf("prepare the configuration of %s: %w", program, err)
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		return nil, err
	}
	return ctx, validateGroups(ctx)
}

// Names returns the environment variables that cli understands, _FILE twins included, in the order of its fields.
func Names(program string, cli any) ([]string, error) {
	_, names, err := model(program, cli, io.Discard, func(int) {})
	if err != nil {
		return nil, err
	}
	return names.all(), nil
}

// model builds kong's model of cli and takes the reading of the environment out of kong's hands: kong would ask the process itself,
// and tests and `gatehouse up` hand environments over.
func model(program string, cli any, w io.Writer, exit func(int)) (*kong.Kong, *variables, error) {
	parser, err := kong.New(cli,
		kong.Name(program), kong.Writers(w, w), kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(withVariable),
	)
	if err != nil {
		return nil, nil, fmt.Errorf("build the configuration model of %s: %w", program, err)
	}
	names := &variables{program: program}
	err = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok {
			flag.Envs = append([]string(nil), flag.Tag.Envs...)
			flag.Tag.Envs = nil
			for _, name := range flag.Envs {
				names.add(name, flag)
			}
		}
		return next(nil)
	})
	return parser, names, err
}

// withVariable shows the variable beside the help text of its flag, as kong does for variables that it reads itself.
func withVariable(value *kong.Value) string {
	if value.Flag == nil || len(value.Flag.Envs) == 0 {
		return kong.DefaultHelpValueFormatter(value)
	}
	name := value.Flag.Envs[0]
	if isSecret(value.Target) {
		name += "[_FILE]"
	}
	return strings.TrimSpace(value.Help + " ($" + name + ")")
}

func isSecret(target reflect.Value) bool { return target.Type() == reflect.TypeFor[Secret]() }

// validateGroups runs the Validate method of every option group on the path of the chosen command; kong itself runs only those of
// commands and flags.
func validateGroups(ctx *kong.Context) error {
	for _, step := range ctx.Path {
		var target reflect.Value
		switch {
		case step.App != nil:
			target = step.App.Target
		case step.Command != nil:
			target = step.Command.Target
		default:
			continue
		}
		if err := validateFields(target); err != nil {
			return err
		}
	}
	return nil
}

func validateFields(target reflect.Value) error {
	target = reflect.Indirect(target)
	if target.Kind() != reflect.Struct {
		return nil
	}
	for i := range target.NumField() {
		field := target.Type().Field(i)
		if _, embedded := field.Tag.Lookup("embed"); !field.IsExported() || (!embedded && !field.Anonymous) {
			continue
		}
		group := target.Field(i)
		if err := validateFields(group); err != nil {
			return err
		}
		if v, ok := group.Addr().Interface().(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}
