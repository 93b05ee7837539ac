package witness

import (
	"bytes"
	"testing"
)

// A request is read in one form: what is read is written as it was.
func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("old 0\n\nexample.com/audit/1\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))
	f.Add([]byte("old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\njrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\nx\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err == nil && (!bytes.Equal(r.text(), body) || len(r.proof) > 63 || r.old < 0) {
			t.Errorf("%q is read as %+v", body, r)
		}
	})
}
