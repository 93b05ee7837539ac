package signingkey_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// idWorld is a world of ID tokens, whose keys each algorithm has for itself.
type idWorld struct {
	*world
	db *postgrestest.Database
}

func newIDWorld(t *testing.T) *idWorld {
	t.Helper()
	db := postgrestest.Open(t)
	return &idWorld{db: db, world: &world{t: t, store: db.SigningKeys, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
}

const kept = 30 * 24 * time.Hour

func (w *idWorld) ids(random io.Reader, sealingKeys ...byte) *signingkey.IDTokens {
	w.t.Helper()
	keepers := map[string]*signingkey.Keeper{}
	for algorithm, store := range w.db.IDTokenKeys {
		p := policy
		p.Purpose, p.Algorithm, p.Keep = signingkey.ForID, algorithm, kept
		keepers[algorithm] = signingkey.NewKeeper(p, store, w.sealer(sealingKeys...), random, func() time.Time { return w.now })
	}
	return signingkey.NewIDTokens(keepers)
}

func (w *idWorld) refreshIDs(ids *signingkey.IDTokens) {
	w.t.Helper()
	if err := ids.Refresh(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *idWorld) idToken(ids *signingkey.IDTokens, algorithm string) string {
	w.t.Helper()
	compact, err := ids.SignIDToken(algorithm, map[string]any{"sub": "u"})
	if err != nil {
		w.t.Fatal(err)
	}
	return compact
}

// keySet are the ids of the published keys.
func keySet(t *testing.T, ids *signingkey.IDTokens) []string {
	t.Helper()
	keys, maxAge, err := ids.Set()
	if err != nil || maxAge != policy.MaxAge {
		t.Fatalf("Set: %v, %v", maxAge, err)
	}
	var known []string
	for _, key := range keys {
		known = append(known, key.ID)
	}
	return known
}

func kid(t *testing.T, compact string) string {
	t.Helper()
	head, _, _ := strings.Cut(compact, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var header struct{ Kid, Typ string }
	if err := json.Unmarshal(text, &header); err != nil || header.Typ != "JWT" {
		t.Fatalf("%s: %v", text, err)
	}
	return header.Kid
}

// R42: what is signed for one purpose is nothing for the other, whatever the algorithm, and the
// keys of access tokens stay among themselves.
func TestIDTokensAreNoAccessTokens(t *testing.T) {
	w := newIDWorld(t)
	access, ids := w.instance(policy, 1), w.ids(rand.Reader, 1)
	w.refresh(access)
	if _, err := ids.SignIDToken(token.RS256, struct{}{}); !errors.Is(err, apierr.KeysUnavailable()) {
		t.Errorf("before its keys are known: %v", err)
	}
	if _, _, err := ids.Set(); !errors.Is(err, apierr.KeysUnavailable()) {
		t.Errorf("the key set before its keys are known: %v", err)
	}
	w.refreshIDs(ids)
	for _, algorithm := range signingkey.IDAlgorithms() {
		compact := w.idToken(ids, algorithm)
		if payload, err := ids.VerifyIDToken(compact); err != nil || string(payload) != `{"sub":"u"}` {
			t.Errorf("%s: %s, %v", algorithm, payload, err)
		}
		if err := w.verifies(access, compact); err == nil {
			t.Errorf("an ID token with %s is an access token", algorithm)
		}
		if slices.Contains(published(t, access), kid(t, compact)) || !slices.Contains(keySet(t, ids), kid(t, compact)) {
			t.Errorf("the key of %s is in the wrong set", algorithm)
		}
	}
	if _, err := ids.VerifyIDToken(w.sign(access)); err == nil {
		t.Error("an access token is an ID token")
	}
	if _, err := ids.SignIDToken("none", struct{}{}); err == nil {
		t.Error("signed with none")
	}
	stored, err := w.db.SigningKeys.List(t.Context())
	if err != nil || len(stored) != 2 {
		t.Errorf("%d keys of access tokens, %v", len(stored), err)
	}
}

// Each algorithm rotates; a key is published while its tokens are good, and known for as long as
// clients may show one.
func TestIDTokenKeysRotate(t *testing.T) {
	w := newIDWorld(t)
	ids := w.ids(rand.Reader, 1)
	w.refreshIDs(ids)
	before := map[string]string{}
	for _, algorithm := range signingkey.IDAlgorithms() {
		before[algorithm] = w.idToken(ids, algorithm)
	}
	w.now = w.now.Add(policy.Interval)
	w.refreshIDs(ids)
	for algorithm, compact := range before {
		if next := w.idToken(ids, algorithm); kid(t, next) == kid(t, compact) {
			t.Errorf("%s: the key did not change", algorithm)
		}
		if !slices.Contains(keySet(t, ids), kid(t, compact)) {
			t.Errorf("%s: the key goes before its tokens", algorithm)
		}
	}
	w.now = w.now.Add(time.Hour)
	w.refreshIDs(ids)
	for algorithm, compact := range before {
		if _, err := ids.VerifyIDToken(compact); err != nil || slices.Contains(keySet(t, ids), kid(t, compact)) {
			t.Errorf("%s: after its tokens: %v, published %v", algorithm, err, keySet(t, ids))
		}
	}
	w.now = w.now.Add(kept)
	w.refreshIDs(ids)
	for algorithm, compact := range before {
		if _, err := ids.VerifyIDToken(compact); !errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("%s: after all: %v", algorithm, err)
		}
	}
}

// The start reads what is stored and makes nothing: RSA keys are for whoever refreshes.
func TestLoadMakesNoKeys(t *testing.T) {
	w := newIDWorld(t)
	first := w.ids(rand.Reader, 1)
	if err := first.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Set(); err == nil {
		t.Error("keys are known that nobody made")
	}
	w.refreshIDs(first)
	second := w.ids(failing{}, 1)
	if err := second.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := second.VerifyIDToken(w.idToken(first, token.RS256)); err != nil {
		t.Error(err)
	}
	if err := w.ids(rand.Reader, 2).Load(t.Context()); !errors.Is(err, signingkey.ErrWrongSealingKey) {
		t.Errorf("another sealing key: %v", err)
	}
}

// failing is nobody's source of keys.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no key is to be made") }

// R66, R74: resealing knows all keys, and says so in the trail without a word of them; a key that
// was moved to another purpose does not open.
func TestIDTokenKeysAreResealed(t *testing.T) {
	w := newIDWorld(t)
	w.refresh(w.instance(policy, oldKey))
	w.refreshIDs(w.ids(rand.Reader, oldKey))
	stores := []signingkey.Store{w.db.SigningKeys}
	for _, store := range w.db.IDTokenKeys {
		stores = append(stores, store)
	}
	both := w.ids(rand.Reader, newKey, oldKey)
	w.refreshIDs(both)
	if two, needed := both.Sealing(); !two || !needed {
		t.Errorf("before: two %t, needed %t", two, needed)
	}
	done, err := signingkey.Reseal(t.Context(), w.sealer(newKey, oldKey), rand.Reader, stores...)
	if err != nil || done.Keys != 8 || done.Changed != 8 {
		t.Errorf("resealed %+v, %v", done, err)
	}
	after := w.ids(rand.Reader, newKey)
	w.refreshIDs(after)
	resealed, ofIDs := 0, 0
	for _, e := range w.db.Recorded(t) {
		if e.Action == "auth.signing_key_resealed" {
			resealed++
			if last := e.Changes[len(e.Changes)-1]; last.Field == "purpose" && string(last.Value) == `"id_token"` {
				ofIDs++
			}
		}
	}
	if resealed != 8 || ofIDs != 6 {
		t.Errorf("the trail has %d, of ID tokens %d", resealed, ofIDs)
	}
	if _, err := w.db.Pool.Exec(t.Context(), `
		insert into auth.id_token_keys select * from auth.signing_keys where state = 'next' on conflict do nothing;
		update auth.id_token_keys k set public_key = s.public_key, sealed_key = s.sealed_key, id = s.id
		from auth.signing_keys s where k.algorithm = 'EdDSA' and k.state = 'active' and s.state = 'active'`); err != nil {
		t.Fatal(err)
	}
	if err := w.ids(rand.Reader, newKey).Load(t.Context()); !errors.Is(err, signingkey.ErrWrongSealingKey) {
		t.Errorf("a key of access tokens signs ID tokens: %v", err)
	}
}
