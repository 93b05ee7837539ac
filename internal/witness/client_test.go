package witness_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/witness"
)

func client(t testing.TB, url, key string) *witness.Client {
	t.Helper()
	c, err := witness.NewClient(url, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// prover is how a log proves, and counts how often it was asked.
func prover(t testing.TB, l *auditlogtest.Log, size int64, asked *[]int64) witness.Prover {
	return func(_ context.Context, from int64) ([]auditlog.Hash, error) {
		*asked = append(*asked, from)
		return l.Consistency(t, from, size), nil
	}
}

// A log that remembers nothing of its witness is cosigned from where the witness is.
func TestCosign(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	s := serve(t, newFolder(t), key.Text)
	l := logOf(t, 300, "leaf")
	var asked []int64
	for _, size := range []int64{0, 5, 5, 6, 300, 300} {
		c := client(t, s.url+"/", s.key)
		checkpoint := l.Checkpoint(t, size, key)
		said, err := c.Cosign(t.Context(), checkpoint, prover(t, l, size, &asked))
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		signed, err := auditlogtest.Keys(t, []string{key.Text}, []string{s.key}).Open(fmt.Appendf(checkpoint, "%s\n", said.Line))
		if err != nil || len(signed.Cosignatures) != 1 || signed.Cosignatures[0] != said || said.Witness != "example.org/w" {
			t.Errorf("size %d: %+v, %v", size, signed, err)
		}
	}
	if fmt.Sprint(asked) != "[5 6]" {
		t.Errorf("proofs were asked for from the sizes %v", asked)
	}
}

// A log that was rewound learns it from its witness, and one with another history is refused.
func TestCosignOfARewoundLog(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	s := serve(t, newFolder(t), key.Text)
	c := client(t, s.url, s.key)
	l, other := logOf(t, 9, "leaf"), logOf(t, 12, "other")
	var asked []int64
	if _, err := c.Cosign(t.Context(), l.Checkpoint(t, 9, key), prover(t, l, 9, &asked)); err != nil {
		t.Fatal(err)
	}
	var conflict *witness.ConflictError
	if _, err := c.Cosign(t.Context(), l.Checkpoint(t, 7, key), prover(t, l, 7, &asked)); !errors.As(err, &conflict) || conflict.Size != 9 {
		t.Errorf("rewound: %v", err)
	}
	for _, size := range []int64{9, 12} {
		conflict = nil
		_, err := c.Cosign(t.Context(), other.Checkpoint(t, size, key), prover(t, other, size, &asked))
		if !errors.As(err, &conflict) || conflict.Size != 0 {
			t.Errorf("another history of %d: %v", size, err)
		}
	}
	broken := errors.New("no tiles")
	_, err := c.Cosign(t.Context(), other.Checkpoint(t, 12, key), func(context.Context, int64) ([]auditlog.Hash, error) { return nil, broken })
	if !errors.Is(err, broken) {
		t.Errorf("no proof: %v", err)
	}
	if _, err := c.Cosign(t.Context(), []byte("no checkpoint"), nil); err == nil {
		t.Error("a text that is no checkpoint is cosigned")
	}
}

// What stands where a witness should.
func TestCosignRefusesAnswers(t *testing.T) {
	key, own := auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w")
	l := logOf(t, 9, "leaf")
	checkpoint := l.Checkpoint(t, 9, key)
	line := func(size int64, by auditlogtest.Key) string {
		signed, err := auditlogtest.Keys(t, []string{key.Text}, nil).Open(l.Checkpoint(t, size, key))
		if err != nil {
			t.Fatal(err)
		}
		_, said, err := signed.Cosign(by)
		if err != nil {
			t.Fatal(err)
		}
		return said.Line + "\n"
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		status int
		text   string
		want   string
	}{
		"of another checkpoint": {200, line(8, own), "no valid cosignature"},
		"another's":             {200, line(9, auditlogtest.WitnessKey(t, "example.org/w")), "no valid cosignature"},
		"another checkpoint":    {200, "\n" + string(l.Checkpoint(t, 8, key)) + line(8, own), "read the answer"},
		"nothing":               {200, "", "answers nothing"},
		"no line":               {200, "ok\n", "read the answer"},
		"huge":                  {200, strings.Repeat("— a b\n", 20000), "more than"},
		"a page":                {404, "<html>", `answers 404: "<html>"`},
		"a redirect":            {307, "", "answers 307"},
		"an error that is huge": {500, strings.Repeat("x", 60000), "answers 500"},
		"a size that is none":   {409, "many\n", "without the size"},
		"the same size again":   {409, "0\n", "without the size"},
		"a size below zero":     {409, "-4\n", "without the size"},
		"a larger size":         {409, "10\n", "says that it has cosigned another tree, of 10 events"},
		"a refusal":             {422, "<html>", `does not follow on the one that it has cosigned: "<html>"`},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", elsewhere.URL)
			rw.WriteHeader(c.status)
			_, _ = fmt.Fprint(rw, c.text)
		}))
		said, err := client(t, server.URL, own.Text).Cosign(t.Context(), checkpoint, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 500 {
			t.Errorf("%s: %+v, %v, want %q", name, said, err, c.want)
		}
		server.Close()
	}
	if said, err := serveLine(t, own, line(9, auditlogtest.WitnessKey(t, "example.net/other"))+line(9, own), checkpoint); err != nil || said.Witness != "example.org/w" {
		t.Errorf("with the line of another witness: %+v, %v", said, err)
	}
}

func serveLine(t *testing.T, own auditlogtest.Key, text string, checkpoint []byte) (auditlog.Cosignature, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(rw, text) }))
	defer server.Close()
	return client(t, server.URL, own.Text).Cosign(t.Context(), checkpoint, nil)
}

// What a witness claims is proven by the checkpoint that it shows: one of the log, cosigned by the
// witness.
func TestLatestOfAWitness(t *testing.T) {
	key, next, own := auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w")
	elsewhere := auditlogtest.LogKey(t, "example.com/audit/2")
	l := logOf(t, 9, "leaf")
	cosigned := func(by auditlogtest.Key, log auditlogtest.Key) string {
		signed, err := auditlogtest.Keys(t, []string{log.Text}, nil).Open(l.Checkpoint(t, 9, log))
		check.NoError(t, err)
		text, _, err := signed.Cosign(by)
		check.NoError(t, err)
		return string(text)
	}
	good := cosigned(own, key)
	for name, c := range map[string]struct {
		status int
		text   string
		want   string // of the error; "" when it proves
	}{
		"good":                     {200, good, ""},
		"the key of before":        {200, cosigned(own, next), ""},
		"nothing":                  {404, "", "answers 404"},
		"a redirect":               {307, good, "answers 307"},
		"a page":                   {200, "<html>", "no signed checkpoint"},
		"huge":                     {200, good + strings.Repeat("— a b\n", 20000), "more than"},
		"not cosigned":             {200, string(l.Checkpoint(t, 9, key)), "the witness has not cosigned it"},
		"cosigned by another":      {200, cosigned(auditlogtest.WitnessKey(t, "example.org/w"), key), "the witness has not cosigned it"},
		"signed by another":        {200, cosigned(own, auditlogtest.LogKey(t, origin)), "by none of the keys"},
		"of another log":           {200, cosigned(own, elsewhere), "by none of the keys"},
		"edited":                   {200, strings.Replace(good, "\n9\n", "\n90\n", 1), "is false"},
		"with an edited signature": {200, strings.Replace(good, "— example.org/w ", "— example.org/w A", 1), "the checkpoint"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(origin))) {
				t.Errorf("%s: asked by %s %s", name, r.Method, r.URL)
			}
			rw.Header().Set("Location", "/x")
			rw.WriteHeader(c.status)
			_, _ = fmt.Fprint(rw, c.text)
		}))
		shown, err := client(t, server.URL, own.Text).Latest(t.Context(), origin, []string{key.Text, next.Text})
		if c.want == "" && (err != nil || shown.Size != 9 || shown.Origin != origin) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v, want %q", name, shown, err, c.want)
		}
		server.Close()
	}
}

// A witness that says a smaller size each time is not asked for ever.
func TestCosignEnds(t *testing.T) {
	key, own := auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w")
	l := logOf(t, 9, "leaf")
	known := 8
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintln(rw, known)
		known--
	}))
	defer server.Close()
	var asked []int64
	if _, err := client(t, server.URL, own.Text).Cosign(t.Context(), l.Checkpoint(t, 9, key), prover(t, l, 9, &asked)); err == nil || len(asked) > 3 {
		t.Errorf("%v after the proofs from %v", err, asked)
	}
}

// A witness that does not answer costs no longer than who asks will wait.
func TestCosignOfASilentWitness(t *testing.T) {
	key, own := auditlogtest.LogKey(t, origin), auditlogtest.WitnessKey(t, "example.org/w")
	listener, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	check.NoError(t, err)
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = client(t, "http://"+listener.Addr().String(), own.Text).Cosign(ctx, logOf(t, 1, "leaf").Checkpoint(t, 1, key), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// R61: which addresses a witness may have.
func TestAddresses(t *testing.T) {
	key := auditlogtest.WitnessKey(t, "example.org/w").Text
	for _, address := range []string{
		"", "witness.example.org", "/x", "ftp://example.org", "http://example.org", "http://10.0.0.7:7380", "http://localhost.example.org", "http://127.0.0.1.example.org",
		"https://u:p@example.org", "https://example.org/?a=b", "https://example.org/#a", "https://", "://",
	} {
		if _, err := witness.NewClient(address, key); err == nil || !strings.Contains(err.Error(), "https") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"https://example.org/w", "https://10.0.0.7:7380", "http://127.0.0.1:7380", "http://[::1]:7380/w/", "http://localhost:7380"} {
		client(t, address, key)
	}
	if _, err := witness.NewClient("https://example.org", auditlogtest.LogKey(t, origin).Text); err == nil {
		t.Error("a log's key is taken for a witness's")
	}
	log := auditlogtest.LogKey(t, origin)
	for _, address := range []string{"https://169.254.169.254", "https://[fe80::1]", "https://0.0.0.0", "https://[::ffff:169.254.1.1]"} {
		_, err := client(t, address, key).Cosign(t.Context(), logOf(t, 1, "leaf").Checkpoint(t, 1, log), nil)
		if err == nil || !strings.Contains(err.Error(), "a witness is not asked at") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Whose certificate nobody knows is no witness.
func TestUnknownCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	key := auditlogtest.WitnessKey(t, "example.org/w").Text
	_, err := client(t, server.URL, key).Cosign(t.Context(), logOf(t, 1, "leaf").Checkpoint(t, 1, auditlogtest.LogKey(t, origin)), nil)
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
}
