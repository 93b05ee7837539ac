package password

import "testing"

func TestCheck(t *testing.T) { // R1, R4, R5
	words := []string{"ada.lovelace@example.com", "ada.lovelace", "Ada Lovelace Byron", "gatehouse"}
	for name, c := range map[string]struct{ password, rule string }{
		"a phrase":                    {"correct horse battery staple", ""},
		"contains a word":             {"my gatehouse has 3 doors", ""},
		"15 characters":               {"kBqz7 wmv Lx2pf", ""},
		"15 lower case only":          {"fjwoqpzmvndhska", ""},
		"14 characters":               {"kBqz7 wmv Lx2p", "password.min_len"},
		"14 code points of 4 bytes":   {"😀😁😂🤣😃😄😅😆😉😊😋😎😍😘", "password.min_len"},
		"15 code points shrink to 14": {"ae\u0301bcdfghijklmn", "password.min_len"},
		"the address":                 {"ada.lovelace@example.com", "password.context"},
		"the address, other case":     {"ADA.Lovelace@Example.COM", "password.context"},
		"the local part twice":        {"ada.lovelaceada.lovelace", "password.context"},
		"the name":                    {"ada lovelace byron", "password.context"},
		"the product repeated":        {"GatehouseGatehouse", "password.context"},
		"the product with dashes":     {"gatehouse-gatehouse", "password.context"},
		"one character":               {"aaaaaaaaaaaaaaaaaaaa", "password.repetition"},
		"a short piece":               {"abc12abc12abc12abc12", "password.repetition"},
		"digits up":                   {"123456789012345", "password.sequence"},
		"digits down":                 {"987654321098765", "password.sequence"},
		"alphabet":                    {"abcdefghijklmnopq", "password.sequence"},
		"keyboard":                    {"qwertyuiopasdfgh", "password.sequence"},
		"common, long enough":         {"mailcreated5240", "password.common"},
		"common, other case":          {"Qwerty123456789", "password.common"},
		"common twice":                {"baseballBaseball", "password.common"},
		"common thrice, cut":          {"dragondragondra", "password.common"},
		"two common":                  {"superman qwertyuiop", "password.common"},
		"common and something":        {"superman 4 breakfast", ""},
		"three common":                {"shadow of superman", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			v, err := Policy{}.Check(c.password, words...)
			if err != nil {
				t.Fatal(err)
			}
			if v != nil {
				got = v.Rule
			}
			if got != c.rule {
				t.Fatalf("rule = %q, want %q", got, c.rule)
			}
		})
	}
}
