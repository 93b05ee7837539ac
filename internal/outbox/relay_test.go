package outbox_test

import (
	"github.com/gatehouse/gatehouse/internal/consistency"
)

func tokenOf(id string) string { return consistency.Event(id).String() }
