package witness_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/witness"
)

const origin = "example.com/audit/1"

// served is a witness that answers, of a log in memory.
type served struct {
	folder string
	url    string
	key    string
	said   *bytes.Buffer // its log
}

func serve(t *testing.T, folder string, logs ...string) served {
	t.Helper()
	said := &bytes.Buffer{}
	w, err := witness.Open(folder, logs, slog.New(slog.NewJSONHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.Handler())
	t.Cleanup(func() {
		server.Close()
		_ = w.Close()
	})
	return served{folder, server.URL, w.Key(), said}
}

// newFolder is a folder with a key.
func newFolder(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	if _, err := witness.NewKey(rand.Reader, folder, "example.org/w"); err != nil {
		t.Fatal(err)
	}
	return folder
}

// logOf is a log with so many leaves.
func logOf(t testing.TB, leaves int, kind string) *auditlogtest.Log {
	t.Helper()
	l := &auditlogtest.Log{}
	for i := range leaves {
		l.Add(t, fmt.Appendf(nil, "%s %d", kind, i))
	}
	return l
}

// body is a request.
func body(old int64, proof []auditlog.Hash, note []byte) string {
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	return b.String() + "\n" + string(note)
}

// answer is what of a response counts.
type answer struct {
	status     int
	kind, text string
}

func (s served) post(t testing.TB, body string) answer {
	t.Helper()
	response, err := http.Post(s.url+"/add-checkpoint", "", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

func read(t testing.TB, response *http.Response) answer {
	t.Helper()
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header.Get("Content-Type"), string(text)}
}

// R70: each rule of tlog-witness, in the order of its text, on a witness that has cosigned size 5.
func TestRules(t *testing.T) {
	key, other := auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, "example.com/unknown")
	l := logOf(t, 9, "leaf")
	s := serve(t, newFolder(t), key.Text)
	if got := s.post(t, body(0, nil, l.Checkpoint(t, 5, key))); got.status != 200 || !strings.HasPrefix(got.text, "— example.org/w ") {
		t.Fatalf("the first checkpoint: %+v", got)
	}
	seven := l.Checkpoint(t, 7, key)
	proof := l.Consistency(t, 5, 7)
	forged := bytes.Replace(seven, []byte("\n7\n"), []byte("\n8\n"), 1)
	for name, c := range map[string]struct {
		body   string
		status int
		text   string
	}{
		"an unknown origin":             {body(5, proof, l.Checkpoint(t, 7, other)), 404, "does not watch"},
		"a false signature":             {body(5, proof, forged), 403, "is false"},
		"a stranger's signature":        {body(5, proof, l.Checkpoint(t, 7, auditlogtest.LogKey(t, origin))), 403, "none of the keys"},
		"old is larger than new":        {body(8, nil, seven), 400, "larger than"},
		"old is too small":              {body(4, l.Consistency(t, 4, 7), seven), 409, "5\n"},
		"old is zero":                   {body(0, nil, seven), 409, "5\n"},
		"old is too large":              {body(6, l.Consistency(t, 6, 7), seven), 409, "5\n"},
		"no proof":                      {body(5, nil, seven), 422, "does not lead"},
		"another proof":                 {body(5, l.Consistency(t, 5, 8), seven), 422, "does not lead"},
		"a hash too many":               {body(5, append(append([]auditlog.Hash{}, proof...), proof[0]), seven), 422, "does not lead"},
		"another history":               {body(5, logOf(t, 7, "other").Consistency(t, 5, 7), logOf(t, 7, "other").Checkpoint(t, 7, key)), 422, "does not lead"},
		"the same size, another tree":   {body(5, nil, logOf(t, 5, "other").Checkpoint(t, 5, key)), 422, "two different trees"},
		"the same size, with a proof":   {body(5, proof, l.Checkpoint(t, 5, key)), 422, "does not lead"},
		"64 hashes":                     {body(5, make([]auditlog.Hash, 64), seven), 400, "up to 63 hashes"},
		"63 hashes":                     {body(5, make([]auditlog.Hash, 63), seven), 422, "does not lead"},
		"too large":                     {body(5, proof, seven) + strings.Repeat("— a b\n", 20000), 413, "at most"},
		"nothing":                       {"", 400, "C2SP tlog-witness"},
		"no empty line":                 {"old 5\n", 400, "C2SP tlog-witness"},
		"no size":                       {strings.Replace(body(5, proof, seven), "old 5", "old", 1), 400, "C2SP tlog-witness"},
		"a size with a zero before it":  {strings.Replace(body(5, proof, seven), "old 5", "old 05", 1), 400, "C2SP tlog-witness"},
		"a negative size":               {strings.Replace(body(5, proof, seven), "old 5", "old -5", 1), 400, "C2SP tlog-witness"},
		"line ends of another kind":     {strings.ReplaceAll(body(5, proof, seven), "\n", "\r\n"), 400, "C2SP tlog-witness"},
		"a hash that is none":           {"old 5\nx\n\n" + string(seven), 400, "C2SP tlog-witness"},
		"no checkpoint":                 {"old 5\n\n", 400, "C2SP tlog-witness"},
		"only an origin":                {"old 5\n\n" + origin + "\n", 403, "no signed checkpoint"},
		"a checkpoint that is unsigned": {"old 5\n\n" + strings.SplitAfter(string(seven), "\n\n")[0], 403, "no signed checkpoint"},
	} {
		got := s.post(t, c.body)
		if got.status != c.status || !strings.Contains(got.text, c.text) {
			t.Errorf("%s: %+v, want %d with %q", name, got, c.status, c.text)
		}
		if got.status == 409 && got.kind != "text/x.tlog.size" {
			t.Errorf("%s: the size is a %s", name, got.kind)
		}
	}
	if got := s.post(t, body(5, proof, seven)); got.status != 200 {
		t.Errorf("after all of these the next checkpoint: %+v", got)
	}
	if !strings.Contains(s.said.String(), `"level":"ERROR","msg":"refused","status":422,"reason":"the log has signed two different trees of the size 5","checkpoint":"example.com/audit/1`) {
		t.Errorf("the proof that the log has signed two histories is not in the log:\n%s", s.said)
	}
}

func TestRulesOfTheEmptyTree(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	l := logOf(t, 3, "leaf")
	s := serve(t, newFolder(t), key.Text)
	wrong, err := auditlog.Checkpoint{Origin: origin, Root: l.Root(t, 1)}.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.post(t, body(0, nil, wrong)); got.status != 422 {
		t.Errorf("another root of the empty tree: %+v", got)
	}
	if got := s.post(t, body(0, []auditlog.Hash{{}}, l.Checkpoint(t, 3, key))); got.status != 422 {
		t.Errorf("a proof from nothing: %+v", got)
	}
	for _, size := range []int64{0, 0, 3} {
		if got := s.post(t, body(0, nil, l.Checkpoint(t, size, key))); got.status != 200 {
			t.Errorf("size %d: %+v", size, got)
		}
	}
}

// Monitors get the last checkpoint, with the signatures that were verified and no others.
func TestLatest(t *testing.T) {
	key, next, stranger := auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, origin), auditlogtest.LogKey(t, origin)
	s := serve(t, newFolder(t), key.Text, next.Text)
	l := logOf(t, 3, "leaf")
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(origin)))
	for _, path := range []string{"/" + hash + "/checkpoint", "/x/checkpoint", "/", "/add-checkpoint", "/../key"} {
		if got := s.get(t, path); got.status < 404 {
			t.Errorf("GET %s: %+v", path, got)
		}
	}
	if got := s.post(t, body(0, nil, l.Checkpoint(t, 3, key, next, stranger))); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	got := s.get(t, "/"+hash+"/checkpoint")
	signed, err := auditlogtest.Keys(t, []string{key.Text, next.Text}, []string{s.key}).Open([]byte(got.text))
	if err != nil || signed.Size != 3 || len(signed.Keys) != 2 || len(signed.Cosignatures) != 1 || signed.Others != 0 {
		t.Errorf("%+v: %+v, %v", got, signed, err)
	}
}

func (s served) get(t testing.TB, path string) answer {
	t.Helper()
	response, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, response)
}

// Two requests at once cannot roll each other back: of those that begin at one size one is
// cosigned.
func TestAtOnce(t *testing.T) {
	key := auditlogtest.LogKey(t, origin)
	l := logOf(t, 40, "leaf")
	first := body(0, nil, l.Checkpoint(t, 1, key))
	var requests []string
	for size := int64(2); size <= 40; size++ {
		requests = append(requests, body(1, l.Consistency(t, 1, size), l.Checkpoint(t, size, key)))
	}
	for range 25 {
		s := serve(t, newFolder(t), key.Text)
		if got := s.post(t, first); got.status != 200 {
			t.Fatalf("%+v", got)
		}
		answers := make(chan int, len(requests))
		for _, request := range requests {
			go func() { answers <- s.post(t, request).status }()
		}
		count := map[int]int{}
		for range requests {
			count[<-answers]++
		}
		if count[200] != 1 || count[409] != len(requests)-1 {
			t.Fatalf("answers: %v", count)
		}
	}
}
