package access

import (
	"testing"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse/gatehouse/internal/contract"
)

func TestObjectNames(t *testing.T) {
	for noun, want := range map[string]string{
		"user":            "USER_NOT_FOUND: no such user",
		"service_account": "SERVICE_ACCOUNT_NOT_FOUND: no such service account",
		"":                "OBJECT_NOT_FOUND: no such object",
	} {
		m := &contract.Method{Noun: noun, Access: []contract.Access{{Kind: contract.Self, Field: "id"}}}
		if got := Refusal(m, &emptypb.Empty{}).Error(); got != want {
			t.Errorf("%q is answered %q, want %q", noun, got, want)
		}
	}
}
