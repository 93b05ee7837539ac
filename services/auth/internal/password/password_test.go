package password

import (
	"crypto/rand"
	"strings"
	"testing"
)

// cheap keeps tests fast; the configuration refuses such parameters.
var cheap = Parameters{Memory: 64, Time: 1, Threads: 1}

func TestHashVerifies(t *testing.T) { // R2, R3
	long := strings.Repeat("x", 72)
	for name, c := range map[string]struct {
		set, try string
		want     bool
	}{
		"same":                    {"correct horse battery", "correct horse battery", true},
		"other":                   {"correct horse battery", "correct horse batterz", false},
		"case counts":             {"correct horse battery", "Correct horse battery", false},
		"spaces count":            {"correct horse battery ", "correct horse battery", false},
		"nothing cut at 72 bytes": {long + "aaaaaaaa", long + "bbbbbbbb", false},
		"256 characters":          {strings.Repeat("é", 256), strings.Repeat("é", 256), true},
		"composed and decomposed": {"caf\u00e9 caf\u00e9 caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301 cafe\u0301 cafe\u0301", true},
		"NUL is a character":      {"correct horse\x00battery", "correct horse\x00batterz", false},
	} {
		t.Run(name, func(t *testing.T) {
			phc, err := hash(idKey, rand.Reader, cheap, c.set)
			if err != nil {
				t.Fatal(err)
			}
			got, err := verify(c.try, phc)
			if err != nil || got != c.want {
				t.Fatalf("Verify = %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestHashSaltsEachTime(t *testing.T) { // R6
	a, _ := hash(idKey, rand.Reader, cheap, "the same password")
	b, _ := hash(idKey, rand.Reader, cheap, "the same password")
	if a == b {
		t.Fatal("two hashes of one password are equal")
	}
	if want := "$argon2id$v=19$m=64,t=1,p=1$"; !strings.HasPrefix(a, want) {
		t.Fatalf("hash = %s, want prefix %s", a, want)
	}
}

// TestVerifyForeignVector holds the encoding to strings that another implementation made (argon2 reference command line tool,
// `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 1`).
func TestVerifyForeignVector(t *testing.T) {
	const phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, err := verify("password", phc)
	if err != nil || !ok {
		t.Fatalf("Verify = %v, %v; want true", ok, err)
	}
}

func TestDecoyMatchesNothing(t *testing.T) {
	phc, err := Decoy(rand.Reader, cheap)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := verify("", phc); ok || err != nil {
		t.Fatalf("Verify = %v, %v; want false", ok, err)
	}
}

func TestVerifyRefusesMalformed(t *testing.T) {
	good, _ := hash(idKey, rand.Reader, cheap, "x")
	for name, phc := range map[string]string{
		"empty":            "",
		"bcrypt":           "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		"argon2i":          strings.Replace(good, "argon2id", "argon2i", 1),
		"old version":      strings.Replace(good, "v=19", "v=16", 1),
		"huge memory":      strings.Replace(good, "m=64", "m=4294967295", 1),
		"zero passes":      strings.Replace(good, "t=1", "t=0", 1),
		"leading zero":     strings.Replace(good, "t=1", "t=01", 1),
		"256 lanes":        strings.Replace(good, "p=1", "p=256", 1),
		"extra field":      good + "$x",
		"padding":          good + "=",
		"line break":       good + "\n",
		"missing key":      good[:strings.LastIndex(good, "$")+1],
		"swapped fields":   strings.Replace(good, "m=64,t=1", "t=1,m=64", 1),
		"unknown argument": strings.Replace(good, "p=1", "p=1,keyid=a", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if ok, err := verify("x", phc); err == nil {
				t.Fatalf("Verify(%q) = %v, nil; want an error", phc, ok)
			}
		})
	}
}

func TestParametersValidate(t *testing.T) { // R6
	for _, p := range []Parameters{{47104, 1, 1}, {19456, 2, 1}, {12288, 3, 1}, {9216, 4, 1}, {7168, 5, 1}, {65536, 3, 4}} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	for _, p := range []Parameters{{}, {19456, 1, 1}, {19455, 2, 1}, {7167, 9, 1}, {19456, 2, 0}, {1 << 21, 2, 1}} {
		if err := p.Validate(); err == nil {
			t.Errorf("%+v is accepted", p)
		}
	}
}

func FuzzParse(f *testing.F) {
	good, _ := hash(idKey, rand.Reader, cheap, "x")
	f.Add(good)
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$$$$")
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parse(s)
		if err == nil && e.String() != s {
			t.Fatalf("parse accepts %q, which is written %q", s, e.String())
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	phc, err := hash(idKey, rand.Reader, Recommended(), "correct horse battery")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, err := verify("correct horse battery", phc); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// verify is the verification by x/crypto.
func verify(password, phc string) (bool, error) {
	e, err := parse(phc)
	return err == nil && e.matches(idKey, password), err
}
