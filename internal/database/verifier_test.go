package database

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/config"
)

// What is made of a password verifies it and no other one; RFC 7677, section 3, has the numbers of
// the example with PostgreSQL's rounds.
func TestVerifiers(t *testing.T) {
	made, err := verifier(Role{Name: "auth", Password: config.NewSecret("pencil")})
	if err != nil {
		t.Fatal(err)
	}
	again, err := verifier(Role{Name: "auth", Password: config.NewSecret("pencil")})
	if err != nil || again.Reveal() == made.Reveal() {
		t.Errorf("two verifiers have one salt: %v", err)
	}
	if !verifies(made.Reveal(), "pencil") {
		t.Error("it does not verify its password")
	}
	known, err := scram("pencil", []byte{0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81})
	const want = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if err != nil || known.Reveal() != want {
		t.Errorf("the RFC's example is %s, %v", known.Reveal(), err)
	}
	for name, stored := range map[string]string{
		"another password": want[:len(want)-4] + "AAA=", "md5": "md5a3556571e93b0d20722ba62be61e8c2d", "nothing": "", "cut": want[:30], "other rounds": "SCRAM-SHA-256$1:AAAA$B:C",
	} {
		if verifies(stored, "pencil") {
			t.Errorf("%s verifies", name)
		}
	}
}
