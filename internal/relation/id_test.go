package relation

import "testing"

func TestCanonical(t *testing.T) {
	const lower, upper = "8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01", "8F14E45F-CEEA-467F-A8A5-1D3E0A2B6C01"
	for name, want := range map[string]string{
		"user:" + lower: "user:" + lower,
		"user:" + upper: "user:" + lower,
		"user:8F14e45f-ceea-467f-a8a5-1d3e0a2b6c01": "user:" + lower,
		"group:" + upper + "#member":                "group:" + lower + "#member",
		"organization:":                             "organization:",
		"group:Staff":                               "group:Staff", // a name that people chose
		"group:Staff#member":                        "group:Staff#member",
		"user:8F14E45FCEEA467FA8A51D3E0A2B6C01":     "user:8F14E45FCEEA467FA8A51D3E0A2B6C01",
		"user:{" + upper + "}":                      "user:{" + upper + "}",
		"user:" + upper + "0":                       "user:" + upper + "0",
		upper:                                       upper, // no object
		"":                                          "",
	} {
		if got := Canonical(name); got != want {
			t.Errorf("Canonical(%q) = %q, want %q", name, got, want)
		}
		if again := Canonical(want); again != want {
			t.Errorf("Canonical(%q) = %q", want, again)
		}
	}
	got := Tuple{Object: "organization:" + upper, Relation: "owner", Subject: "user:" + upper}.Canonical()
	if want := (Tuple{Object: "organization:" + lower, Relation: "owner", Subject: "user:" + lower}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
