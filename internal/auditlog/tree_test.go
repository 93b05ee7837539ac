package auditlog_test

import (
	"fmt"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
)

func TestTreeIsThatOfTlog(t *testing.T) {
	var tree auditlog.Tree
	var other auditlogtest.Log
	for i := range 300 {
		if got, want := tree.Root(), other.Root(t, int64(i)); got != want || tree.Size() != int64(i) {
			t.Fatalf("%d leaves: size %d, root %v, tlog's %v", i, tree.Size(), got, want)
		}
		leaf := fmt.Appendf(nil, "leaf %d", i)
		tree.Append(auditlog.LeafHash(leaf))
		other.Add(t, leaf)
	}
}

func TestProofsOfTlogVerify(t *testing.T) {
	var l auditlogtest.Log
	for i := range 70 {
		l.Add(t, fmt.Appendf(nil, "leaf %d", i))
	}
	size := l.Size()
	for i := range size {
		leaf := auditlog.LeafHash(l.Leaves[i])
		if err := auditlog.VerifyInclusion(i, size, l.Root(t, size), leaf, l.Inclusion(t, i, size)); err != nil {
			t.Errorf("leaf %d: %v", i, err)
		}
		if err := auditlog.VerifyInclusion((i+1)%size, size, l.Root(t, size), leaf, l.Inclusion(t, i, size)); err == nil {
			t.Errorf("leaf %d is proven in another place", i)
		}
		first := i + 1
		proof := l.Consistency(t, first, size)
		if err := auditlog.VerifyConsistency(first, size, l.Root(t, first), l.Root(t, size), proof); err != nil {
			t.Errorf("from %d: %v", first, err)
		}
		if err := auditlog.VerifyConsistency(first, size, l.Root(t, i), l.Root(t, size), proof); err == nil {
			t.Errorf("from %d: another tree is its beginning", first)
		}
	}
}
