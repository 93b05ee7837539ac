package request_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/request"
)

func TestCallerOfAContext(t *testing.T) {
	if c, ok := request.CallerFrom(t.Context()); ok {
		t.Errorf("a context has the caller %+v by itself", c)
	}
	want := request.Caller{Service: "gateway", Subject: &request.Subject{UserID: "u"}}
	if got, ok := request.CallerFrom(request.WithCaller(t.Context(), want)); !ok || got != want {
		t.Errorf("the caller is %+v, %v", got, ok)
	}
}
