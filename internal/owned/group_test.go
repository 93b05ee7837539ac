package owned

import "testing"

// A user's own group opens nothing to others; one with others in it does, and so does one that only
// a directory elsewhere knows.
func TestAlone(t *testing.T) {
	groups := []string{"ann:x:1000:", "annbob:x:1001:ann,bob", "annroot:x:1002:ann,root", "staff:x:50:", "users:x:100:", ""}
	users := []string{"root:x:0:0:root:/root:/bin/sh", "ann:x:1000:1000::/home/ann:/bin/sh", "bob:x:1001:100::/home/bob:/bin/sh", ""}
	for gid, want := range map[int]bool{1000: true, 1001: false, 1002: true, 50: true, 100: false, 4711: false} {
		if got := alone([]string{"root", "ann"}, gid, groups, users); got != want {
			t.Errorf("group %d: %t", gid, got)
		}
	}
	if alone([]string{"root", "bob"}, 1000, groups, users) {
		t.Error("ann's group is open to ann")
	}
}
