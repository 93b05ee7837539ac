package event_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
)

// No digit is lost without a word: a whole number that would be another one as a double is kept as
// a text.
func TestLargeNumbersKeepTheirDigits(t *testing.T) {
	for value, want := range map[string]string{
		`9007199254740992`:                     `9007199254740992`,
		`9007199254740993`:                     `"9007199254740993"`,
		`-9007199254740993`:                    `"-9007199254740993"`,
		`18446744073709551615`:                 `"18446744073709551615"`,
		`1000000000000000000000`:               `1e+21`,
		`[9007199254740994,9007199254740993]`:  `[9007199254740994,"9007199254740993"]`,
		`{"a":{"b":[9007199254740993]},"c":1}`: `{"a":{"b":["9007199254740993"]},"c":1}`,
		`"9007199254740993<"`:                  `"9007199254740993<"`,
		`0.12345678901234567`:                  `0.12345678901234566`,
		`1e2`:                                  `100`,
		`9223372036854775808`:                  `"9223372036854775808"`, // a double, written as 9223372036854776000
		`9223372036854776000`:                  `9223372036854776000`,
	} {
		for _, personal := range []bool{false, true} {
			e := full()
			e.Changes = []event.Change{{Field: "n", Value: json.RawMessage(value), Personal: personal}}
			sealed, err := e.Seal(bytes.NewReader(make([]byte, 1<<10)))
			if err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			opened, err := sealed.OpenWhole()
			if err != nil || string(opened.Changes[0].Value) != want {
				t.Errorf("%s is kept as %s, %v; want %s", value, opened.Changes[0].Value, err, want)
			}
		}
	}
	e := full()
	e.Changes = []event.Change{{Field: "n", Value: json.RawMessage(`1234567890123456 7`)}}
	if _, err := e.Seal(bytes.NewReader(nil)); err == nil {
		t.Error("what is not JSON is sealed")
	}
}
