package archtest

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// lists are the files in which a program says what starts and stops when, and the one that makes
// hooks of it. A constructor that is given the lifecycle would hide a start.
func lists() []string {
	return []string{"internal/fxmod/parts.go", "internal/fxmod/service/service.go", "gateway/internal/app/order.go"}
}

// Constructors start nothing: nobody else gets hold of the lifecycle.
func TestOneListSaysWhatStarts(t *testing.T) {
	var found []string
	eachFile(t, func(name string) bool {
		return path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go")
	}, func(name string, text []byte) {
		if strings.Contains(string(text), "fx.Lifecycle") || strings.Contains(string(text), "fx.Hook") {
			found = append(found, name)
		}
	})
	for _, name := range found {
		if !slices.Contains(lists(), name) {
			t.Errorf("%s takes part in the lifecycle by itself: return a fxmod.Part and put it into a list of %s", name, strings.Join(lists(), ", "))
		}
	}
	for _, name := range lists() {
		if !slices.Contains(found, name) {
			t.Errorf("%s does not say any more what starts: the test looks in the wrong place", name)
		}
	}
}
