package witness

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
)

// maxRequest is the most bytes of a request: the proof's lines and a checkpoint.
const maxRequest = (auditlog.MaxProof+1)*48 + auditlog.MaxNote

// request is the body of add-checkpoint: "old N", lines of the proof, an empty line, a checkpoint.
type request struct {
	old   int64
	proof []auditlog.Hash
	note  []byte
}

func (r request) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "old %d\n", r.old)
	for _, h := range r.proof {
		fmt.Fprintf(&b, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	b.WriteByte('\n')
	b.Write(r.note)
	return b.Bytes()
}

var errRequest = errors.New("the request is not an old size, up to 63 hashes, an empty line and a checkpoint (C2SP tlog-witness)")

// parseRequest reads a request in the one form that it has.
func parseRequest(body []byte) (request, error) {
	head, text, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	size, found := strings.CutPrefix(lines[0], "old ")
	if !ok || !found || len(lines)-1 > auditlog.MaxProof {
		return request{}, errRequest
	}
	old, err := strconv.ParseInt(size, 10, 64)
	if err != nil || old < 0 || strconv.FormatInt(old, 10) != size {
		return request{}, errRequest
	}
	r := request{old: old, note: text}
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil || h.String() != line {
			return request{}, errRequest
		}
		r.proof = append(r.proof, h)
	}
	return r, nil
}

// Refusal is why a checkpoint was not cosigned, as a status of HTTP.
type Refusal struct {
	Status int
	Text   string
	Known  int64 // size that the witness has cosigned, with 409

	fork [][]byte // two signed trees of one size
}

// Error says why.
func (r *Refusal) Error() string { return r.Text }

func refuse(status int, format string, args ...any) *Refusal {
	return &Refusal{Status: status, Text: fmt.Sprintf(format, args...)}
}

// conflict is the answer to whoever is wrong about what the witness knows.
func conflict(known int64) *Refusal {
	return &Refusal{Status: http.StatusConflict, Text: fmt.Sprintf("the last cosigned checkpoint has the size %d", known), Known: known}
}
