package export_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// An object is named by the first of its events: a batch that comes again, larger or smaller,
// replaces it.
func TestObjectsAreNamedByTheirFirstEvent(t *testing.T) {
	t.Parallel()
	objects := map[string]string{}
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		objects[r.URL.Path] = fmt.Sprint(r.Method, " ", len(strings.Split(string(body), "\n")), " ", strings.Contains(string(body), "head"))
	}))
	t.Cleanup(s.Close)
	r, err := export.NewS3(export.S3Params{
		Endpoint: s.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "s", Bucket: "bucket", Prefix: "/a/b/", Export: "id", Suffix: ".csv", Header: []byte("head\n"),
	})
	check.NoError(t, err)
	check.NoError(t, r.Deliver(t.Context(), batch(t, 1, 2)))
	check.NoError(t, r.Deliver(t.Context(), batch(t, 1)))
	third := batch(t, 2, 3)
	third.First = 2
	check.NoError(t, r.Deliver(t.Context(), third))
	for _, name := range []string{"1", "2"} {
		if got := objects["/bucket/a/b/id/0000000000000000000"+name+".csv"]; !strings.HasPrefix(got, "PUT ") || !strings.HasSuffix(got, " true") {
			t.Errorf("object %s: %q", name, got)
		}
	}
	if len(objects) != 2 {
		t.Errorf("%v", objects)
	}
}

// Keys that are wrong are not tried again; a storage that is down is.
func TestErrorsOfTheStorage(t *testing.T) {
	t.Parallel()
	for code, final := range map[string]bool{"NoSuchBucket": true, "AccessDenied": true, "SignatureDoesNotMatch": true, "InternalError": false, "SlowDown": false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			type answer struct {
				XMLName xml.Name `xml:"Error"`
				Code    string
			}
			_ = xml.NewEncoder(w).Encode(answer{Code: code})
		}))
		r, err := export.NewS3(export.S3Params{Endpoint: s.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "canary", Bucket: "bucket", Export: "id"})
		check.NoError(t, err)
		err = r.Deliver(t.Context(), batch(t, 1))
		if err == nil || isFinal(err) != final || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", code, err)
		}
		s.Close()
	}
	good := export.S3Params{Endpoint: "https://s3.example", AccessKey: "a", SecretKey: "s", Bucket: "b"}
	for name, change := range map[string]func(*export.S3Params){
		"no bucket":   func(p *export.S3Params) { p.Bucket = "" },
		"no endpoint": func(p *export.S3Params) { p.Endpoint = "" },
		"a path":      func(p *export.S3Params) { p.Endpoint += "/path" },
		"in clear":    func(p *export.S3Params) { p.Endpoint = "http://s3.example" },
		"no keys":     func(p *export.S3Params) { p.SecretKey = "" },
	} {
		p := good
		change(&p)
		if _, err := export.NewS3(p); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
