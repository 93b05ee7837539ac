package access

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/contract"
)

func TestObjectNames(t *testing.T) {
	for _, c := range []struct{ method, field, want string }{
		{"/a.v1.S/GetUser", "id", "USER_NOT_FOUND: no such user"},
		{"/a.v1.S/UpdateUser", "user.id", "USER_NOT_FOUND: no such user"},
		{"/a.v1.S/Rename", "user_id", "USER_NOT_FOUND: no such user"},
		{"/a.v1.S/GetServiceAccount", "id", "SERVICE_ACCOUNT_NOT_FOUND: no such service account"},
		{"/a.v1.S/Update", "service_account.id", "SERVICE_ACCOUNT_NOT_FOUND: no such service account"},
		{"/a.v1.S/Get", "id", "OBJECT_NOT_FOUND: no such object"},
	} {
		m := &contract.Method{FullName: c.method, Access: []contract.Access{{Kind: contract.Self, Field: c.field}}}
		if got := unknown(object(m)).Error(); got != c.want {
			t.Errorf("%s with %s answers %q, want %q", c.method, c.field, got, c.want)
		}
	}
}
