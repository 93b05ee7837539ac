package token

import (
	"crypto"
	"crypto/sha256"
	"slices"
	"sync"
)

// generation bounds how many proofs a memory keeps: two generations of so many, about 4 MB.
const generation = 4096

// memory remembers which tokens were found well-formed and signed, and by which key. A client sends one token hundreds of times;
// checking its signature each time is most of what a request costs. Only what can never change is remembered: that these bytes carry
// these claims under this key. Whether the key is still in the set, the token in its time and the session alive is asked every time.
//
// Tokens are known by their SHA-256, so the memory holds nothing that could be replayed. Safe for concurrent use.
type memory struct {
	mu         sync.Mutex
	young, old map[fingerprint]proof
}

type fingerprint [sha256.Size]byte

type proof struct {
	key    Key
	claims Claims
}

func fingerprintOf(compact string) fingerprint { return sha256.Sum256([]byte(compact)) }

// recall returns what was remembered of a token.
func (m *memory) recall(id fingerprint) (proof, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p, ok := m.young[id]; ok {
		return p, true
	}
	p, ok := m.old[id]
	if ok {
		m.keep(id, p)
	}
	return p, ok
}

// remember keeps a proof.
func (m *memory) remember(id fingerprint, p proof) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(id, p)
}

// keep adds to the young generation; when that is full it becomes the old one, and the one before is forgotten. Callers hold mu.
func (m *memory) keep(id fingerprint, p proof) {
	if len(m.young) >= generation || m.young == nil {
		m.old, m.young = m.young, make(map[fingerprint]proof)
	}
	m.young[id] = p
}

// holds reports whether the proof still stands under the key that its kid names now.
func (p proof) holds(now Key) bool {
	public, ok := p.key.Public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(now.Public) && p.key.Algorithm == now.Algorithm
}

// copied returns the claims for a caller to keep.
func (p proof) copied() Claims {
	c := p.claims
	c.Audience = slices.Clone(c.Audience)
	return c
}
