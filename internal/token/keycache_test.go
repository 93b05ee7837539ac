package token_test

import (
	"context"
	"crypto"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/internal/token"
)

// origin is a key server under the test's control.
type origin struct {
	mu      sync.Mutex
	set     token.KeySet
	err     error
	fetches atomic.Int32
}

func (o *origin) fetch(context.Context) (token.KeySet, error) {
	o.fetches.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.set, o.err
}

func (o *origin) publish(t *testing.T, keys ...token.Key) {
	t.Helper()
	set := token.KeySet{MaxAge: time.Minute}
	for _, k := range keys {
		j, err := token.NewJWK(k)
		if err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, j)
	}
	o.answer(set, nil)
}

func (o *origin) answer(set token.KeySet, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.set, o.err = set, err
}

func knows(t *testing.T, c *token.KeyCache, kid string) bool {
	t.Helper()
	k, err := c.Key(t.Context(), kid)
	if err == nil && k.ID != kid {
		t.Errorf("key %s has the id %s", kid, k.ID)
	}
	return err == nil
}

// R48: unknown kids cause one fetch per 30 s, however many come at once.
func TestUnknownKeyRefetchesRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		a, b := edKey(t, "a").Public(), edKey(t, "b").Public()
		o.publish(t, a)
		c := token.NewKeyCache(o.fetch, time.Now)
		if !knows(t, c, "a") {
			t.Fatal("the first key does not load the set")
		}
		time.Sleep(time.Minute) // the clock of the bubble
		before := o.fetches.Load()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if knows(t, c, "b") {
					t.Error("an unpublished key is known")
				}
			})
		}
		wg.Wait()
		if n := o.fetches.Load() - before; n != 1 {
			t.Errorf("%d fetches for 50 unknown kids", n)
		}
		o.publish(t, a, b)
		time.Sleep(29 * time.Second)
		if knows(t, c, "b") {
			t.Error("fetched again within 30 s")
		}
		time.Sleep(2 * time.Second)
		if !knows(t, c, "b") || !knows(t, c, "a") {
			t.Error("not fetched again after 30 s")
		}
	})
}

// R48, R62: a down issuer does not take known keys away, but nothing is accepted before the first set.
func TestOriginDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		o.answer(token.KeySet{}, errors.New("down"))
		c := token.NewKeyCache(o.fetch, time.Now)
		for range 10 {
			if _, err := c.Key(t.Context(), "a"); err == nil || errors.Is(err, token.ErrUnknownKey) {
				t.Errorf("before the first set the answer is %v", err)
			}
		}
		if n := o.fetches.Load(); n != 1 {
			t.Errorf("%d fetches within the same moment", n)
		}
		o.publish(t, edKey(t, "a").Public())
		time.Sleep(time.Second)
		if !knows(t, c, "a") {
			t.Error("not loaded when the issuer came")
		}
		o.answer(token.KeySet{}, errors.New("down again"))
		time.Sleep(time.Hour)
		if err := c.Refresh(t.Context()); err == nil || !knows(t, c, "a") {
			t.Errorf("refresh says %v", err)
		}
		if _, err := c.Key(t.Context(), "b"); !errors.Is(err, token.ErrUnknownKey) {
			t.Errorf("an unknown kid while the issuer is down is %v", err)
		}
	})
}

// R48: Run takes new keys in and removed keys out within one max_age, and retries every second.
func TestRunRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &origin{}
		a, b := edKey(t, "a").Public(), ecKey(t, "b").Public()
		o.publish(t, a)
		c := token.NewKeyCache(o.fetch, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		var reports []error
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(ctx, func(err error) { reports = append(reports, err) })
		}()
		synctest.Wait()
		if !knows(t, c, "a") {
			t.Fatal("Run does not load the set at once")
		}
		o.publish(t, b)
		time.Sleep(time.Minute)
		if knows(t, c, "a") || !knows(t, c, "b") {
			t.Error("the rotation did not arrive within max_age")
		}
		o.answer(token.KeySet{}, errors.New("down"))
		time.Sleep(time.Minute)
		o.publish(t, a, b)
		time.Sleep(2 * time.Second)
		if !knows(t, c, "a") || len(c.Set()) != 2 || c.MaxAge() != time.Minute {
			t.Errorf("after the fault the set is %v for %s", c.Set(), c.MaxAge())
		}
		cancel()
		<-done
		if len(reports) < 2 || reports[0] == nil || reports[len(reports)-1] != nil {
			t.Errorf("reports are %v", reports)
		}
	})
}

func TestKeyOutlivesImpatientRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := edKey(t, "a").Public()
		j, err := token.NewJWK(a)
		if err != nil {
			t.Fatal(err)
		}
		slow := func(ctx context.Context) (token.KeySet, error) {
			select {
			case <-time.After(time.Second):
				return token.KeySet{Keys: []token.JWK{j}}, nil
			case <-ctx.Done():
				return token.KeySet{}, ctx.Err()
			}
		}
		c := token.NewKeyCache(slow, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Key(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient request gets %v", err)
			}
		})
		wg.Wait()
		time.Sleep(2 * time.Second)
		if !knows(t, c, "a") {
			t.Error("the fetch died with the request that began it")
		}
	})
}

// R46: a set is taken whole or not at all.
func TestBadSetsAreNotTaken(t *testing.T) {
	a, ec := edKey(t, "a").Public(), ecKey(t, "e").Public()
	good, err := token.NewJWK(a)
	if err != nil {
		t.Fatal(err)
	}
	goodEC, err := token.NewJWK(ec)
	if err != nil {
		t.Fatal(err)
	}
	change := func(j token.JWK, f func(*token.JWK)) token.JWK {
		f(&j)
		return j
	}
	for name, set := range map[string][]token.JWK{
		"empty":                       nil,
		"same kid twice":              {good, good},
		"same kid, other kind":        {good, change(goodEC, func(j *token.JWK) { j.KID = "a" })},
		"for encryption":              {change(good, func(j *token.JWK) { j.Use = "enc" })},
		"not for verifying":           {change(good, func(j *token.JWK) { j.KeyOps = []string{"sign"} })},
		"for nothing":                 {change(good, func(j *token.JWK) { j.KeyOps = []string{} })},
		"symmetric":                   {{KTY: "oct", Alg: "HS256", KID: "a", X: good.X}},
		"RSA":                         {{KTY: "RSA", Alg: "RS256", KID: "a"}},
		"no alg":                      {change(good, func(j *token.JWK) { j.Alg = "" })},
		"alg none":                    {change(good, func(j *token.JWK) { j.Alg = "none" })},
		"alg of another kind":         {change(good, func(j *token.JWK) { j.Alg = token.ES256 })},
		"other curve":                 {change(good, func(j *token.JWK) { j.CRV = "X25519" })},
		"short point":                 {change(good, func(j *token.JWK) { j.X = j.X[:20] })},
		"padded point":                {change(good, func(j *token.JWK) { j.X += "=" })},
		"kid with a path":             {change(good, func(j *token.JWK) { j.KID = "../a" })},
		"no kid":                      {change(good, func(j *token.JWK) { j.KID = "" })},
		"point off the curve":         {change(goodEC, func(j *token.JWK) { j.Y = j.X })},
		"point at infinity":           {change(goodEC, func(j *token.JWK) { j.X, j.Y = strings.Repeat("A", 43), strings.Repeat("A", 43) })},
		"one good key and a bad one":  {goodEC, change(good, func(j *token.JWK) { j.Use = "enc" })},
		"second coordinate for OKP":   {change(good, func(j *token.JWK) { j.Y = j.X })},
		"EC key without y":            {change(goodEC, func(j *token.JWK) { j.Y = "" })},
		"verify among the operations": {change(good, func(j *token.JWK) { j.KeyOps = []string{"sign", "verify"} })},
	} {
		t.Run(name, func(t *testing.T) {
			o := &origin{}
			o.answer(token.KeySet{Keys: set}, nil)
			c := token.NewKeyCache(o.fetch, time.Now)
			err := c.Refresh(t.Context())
			if accepted := name == "verify among the operations"; (err == nil) != accepted || (len(c.Set()) > 0) != accepted {
				t.Errorf("the set is %v, refresh says %v", c.Set(), err)
			}
		})
	}
}

func TestJWKRoundTrip(t *testing.T) {
	for _, k := range []token.Key{edKey(t, "ed").Public(), ecKey(t, "ec").Public()} {
		j, err := token.NewJWK(k)
		if err != nil {
			t.Fatal(err)
		}
		back, err := j.Key()
		if err != nil {
			t.Fatal(err)
		}
		same := back.Public.(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public)
		if back.ID != k.ID || back.Algorithm != k.Algorithm || !same {
			t.Errorf("%+v comes back as %+v", k, back)
		}
	}
	if _, err := token.NewJWK(token.Key{ID: "a", Algorithm: token.ES256, Public: edKey(t, "a").Public().Public}); err == nil {
		t.Error("a key under a foreign algorithm is published")
	}
}
