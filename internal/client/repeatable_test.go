package client

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/contract"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// Every method that changes something and is still repeated stands here, so that a new one is
// looked at.
func TestRepeatableChanges(t *testing.T) {
	contracts, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range contracts.Methods() {
		switch {
		case m.LongLived: // never repeated
		case m.ReadOnly && !repeatable(m):
			t.Errorf("%s changes nothing and is not repeated", m.FullName)
		case !m.ReadOnly && repeatable(m):
			got = append(got, m.FullName[strings.LastIndex(m.FullName, "/")+1:])
		}
	}
	if want := []string{"RemoveLogin", "ReserveDeparture", "WriteRelationships", "CreateOrganization", "RegisterUser"}; !slices.Equal(got, want) {
		t.Errorf("repeated are %v, want %v", got, want)
	}
}
