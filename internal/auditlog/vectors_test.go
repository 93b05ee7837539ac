package auditlog_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/gatehouse/gatehouse/internal/auditlog"
)

// R69: the public test vectors of RFC 6962's proofs: each good one is accepted, each bad one
// refused.
func TestPublicVectors(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/transparency-dev-merkle.txtar")
	if err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for _, f := range archive.Files {
		t.Run(f.Name, func(t *testing.T) {
			var v struct {
				Index   uint64   `json:"leafIdx"`
				Size    uint64   `json:"treeSize"`
				Root    []byte   `json:"root"`
				Leaf    []byte   `json:"leafHash"`
				Size1   uint64   `json:"size1"`
				Size2   uint64   `json:"size2"`
				Root1   []byte   `json:"root1"`
				Root2   []byte   `json:"root2"`
				Proof   [][]byte `json:"proof"`
				WantErr bool     `json:"wantErr"`
			}
			if err := json.Unmarshal(f.Data, &v); err != nil {
				t.Fatal(err)
			}
			verify := func(proof []auditlog.Hash) error {
				if strings.HasPrefix(f.Name, "inclusion/") {
					return both(v.Root, v.Leaf, func(root, leaf auditlog.Hash) error {
						return auditlog.VerifyInclusion(int64(v.Index), int64(v.Size), root, leaf, proof)
					})
				}
				return both(v.Root1, v.Root2, func(root1, root2 auditlog.Hash) error {
					return auditlog.VerifyConsistency(int64(v.Size1), int64(v.Size2), root1, root2, proof)
				})
			}
			proof, err := auditlog.Hashes(v.Proof)
			if err == nil {
				err = verify(proof)
			}
			if (err != nil) != v.WantErr {
				t.Errorf("%v, an error is wanted: %t", err, v.WantErr)
			}
			if v.WantErr {
				bad++
			} else {
				good++
			}
		})
	}
	if good < 10 || bad < 150 {
		t.Errorf("%d good and %d bad vectors: the file is not whole", good, bad)
	}
}

// both makes hashes of two texts. Where a vector's roots need not be hashes, they are short words.
func both(a, b []byte, verify func(a, b auditlog.Hash) error) error {
	if len(a) > 32 || len(b) > 32 || len(a) == 0 || len(b) == 0 {
		return fmt.Errorf("%d and %d bytes are no hashes", len(a), len(b))
	}
	var x, y auditlog.Hash
	copy(x[:], a)
	copy(y[:], b)
	return verify(x, y)
}
