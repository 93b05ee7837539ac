package resource

import "testing"

// row is like that of a list of relationships.
type row struct {
	Type     string `json:"t"`
	ID       string `json:"i"`
	Relation string `json:"r"`
	Subject  string `json:"s"`
}

// What earlier versions gave out is still read, and made in the same form.
func TestRowTokenKeepsItsForm(t *testing.T) {
	const digest, before = "Y3H3v4Pyc3Bh",
		"eyJmIjoiWTNIM3Y0UHljM0JoIiwiYSI6eyJ0Ijoib3JnYW5pemF0aW9uIiwiaSI6Im8iLCJyIjoibWVtYmVyIiwicyI6InVzZXI6dSJ9fQ"
	want := row{"organization", "o", "member", "user:u"}
	if got := RowToken(digest, want); got != before {
		t.Errorf("the token is %s", got)
	}
	if got, ok := ParseRowToken[row](before, digest); !ok || got != want {
		t.Errorf("read as %+v, %v", got, ok)
	}
	for name, text := range map[string]string{"another filter": before[:5] + "x" + before[6:], "not base64": "%", "not JSON": "AAAA", "nothing": ""} {
		if got, ok := ParseRowToken[row](text, digest); ok {
			t.Errorf("%s is read as %+v", name, got)
		}
	}
}
