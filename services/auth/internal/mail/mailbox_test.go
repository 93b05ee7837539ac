package mail_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

func TestAMailboxKeepsTheNewest(t *testing.T) {
	m := &mail.Mailbox{}
	for i := range 130 {
		for range 2 { // a repeated one is one
			check.NoError(t, m.Send(t.Context(), mail.Envelope{ID: fmt.Sprint(i)}, mail.Letter{Subject: fmt.Sprint(i)}))
		}
	}
	if all := m.List(); len(all) != 100 || all[0].ID != "30" || all[99].Subject != "129" {
		t.Errorf("%d mails, from %s to %s", len(all), all[0].ID, all[len(all)-1].Subject)
	}
}
