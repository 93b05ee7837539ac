package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/programs"
)

// programAreas begin the names that only one program knows; another program leaves them alone.
func programAreas() []string {
	areas := []string{"CLI", "TEST"} // of the gatehouse command and of tests
	for _, program := range programs.Names() {
		areas = append(areas, area(program))
	}
	return areas
}

// area is what the variables of a program begin with, after the prefix.
func area(program string) string { return strings.ToUpper(strings.ReplaceAll(program, "-", "_")) }

// knownElsewhere reports whether another program than this one may be meant by the name. The
// longest area counts: GATEHOUSE_AUTH_PROXY_PORT is that of auth-proxy, if there is one, and not of
// auth.
func knownElsewhere(program, name string) bool {
	if slices.Contains(kernelNames(), name) {
		return true
	}
	if owner := AreaOwner(strings.TrimPrefix(name, prefix)); owner != "" {
		return owner != program
	}
	own, owner := area(program), ""
	for _, a := range append(programAreas(), own) {
		if strings.HasPrefix(name, prefix+a+"_") && len(a) > len(owner) {
			owner = a
		}
	}
	return owner != "" && owner != own
}

// AreaOwner is the program that alone reads a variable whose area, what follows GATEHOUSE_, is not
// its name; "" for all other variables.
func AreaOwner(rest string) string {
	area, _, more := strings.Cut(rest, "_")
	if !more {
		return ""
	}
	return ownedAreas()[area]
}

// try decodes a value the way kong will, to name the variable in the error.
func try(flag *kong.Flag, value string) error {
	scratch := reflect.New(flag.Target.Type()).Elem()
	scan := kong.ScanFromTokens(kong.Token{Type: kong.FlagValueToken, Value: value})
	if err := flag.Mapper.Decode(&kong.DecodeContext{Value: flag.Value, Scan: scan}, scratch); err != nil {
		return err
	}
	if allowed := flag.EnumSlice(); flag.Enum != "" && !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is none of %s", value, strings.Join(allowed, ", "))
	}
	return nil
}

// Nearest returns the candidate with the fewest edits from name, if it is near enough to be a slip:
// a quarter of its length, or two letters that have changed places.
func Nearest(name string, candidates []string) (string, bool) {
	best, distance := "", max(len(name)/4, 2)+1
	for _, candidate := range candidates {
		if d := edits(name, candidate); d < distance {
			best, distance = candidate, d
		}
	}
	return best, best != ""
}

// edits is the Levenshtein distance.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
