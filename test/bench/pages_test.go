package bench_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkPageSignIn is the sign-ins a second by the page, each of which loads the form and sends
// it as a browser does, beside those over REST, in interleaved slices with as many people at a time.
// Bound: ratio 0.9.
func BenchmarkPageSignIn(b *testing.B) {
	const slice = 2 * time.Second
	p := started(b)
	who := signUp(b, p)
	sides := [2]func() error{
		func() error { _, err := signInByPage(p, who.email); return err },
		func() error { _, err := signIn(p, who.email); return err },
	}
	measure := func(side int) float64 {
		perSecond, err := rate(context.Background(), 2*runtime.NumCPU(), slice, sides[side])
		check.NoError(b, err)
		return perSecond
	}
	measure(0) // warm
	var page, rest, ratios []float64
	for b.Loop() {
		for round := range 2 { // who is first changes
			var signIns [2]float64
			for i := range sides {
				side := (i + round) % 2
				signIns[side] = measure(side)
			}
			page, rest, ratios = append(page, signIns[0]), append(rest, signIns[1]), append(ratios, signIns[0]/signIns[1])
		}
	}
	b.ReportMetric(median(page), "page-sign-ins/s")
	b.ReportMetric(median(rest), "rest-sign-ins/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0.9, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// visitor is the client of requests that a person's browser sends: redirects are looked at.
var visitor = &http.Client{
	Timeout: client.Timeout, Transport: client.Transport,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// visit sends a request as a browser does from a page of the same host; a form when there is one.
// It returns the response, whose body is read, and its location.
func visit(p *platform.Platform, path string, form url.Values, cookie *http.Cookie, want int) (*http.Response, *url.URL, error) {
	req, err := http.NewRequest(http.MethodGet, p.URL()+path, nil)
	if form != nil {
		req, err = http.NewRequest(http.MethodPost, p.URL()+path, strings.NewReader(form.Encode()))
	}
	if err != nil {
		return nil, nil, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", p.URL())
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	req.Header.Set("Accept-Language", "en-US,en;q=0.9")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Sec-Fetch-User", "?1")
	if cookie != nil {
		req.AddCookie(cookie)
	}
	resp, err := visitor.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	if resp.StatusCode != want {
		return nil, nil, fmt.Errorf("%s: status %d, want %d: %s", path, resp.StatusCode, want, text)
	}
	location, err := resp.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return resp, nil, nil
	}
	return resp, location, err
}

// signInByPage loads the form, sends it and returns the cookie of the browser session.
func signInByPage(p *platform.Platform, email string) (*http.Cookie, error) {
	if _, _, err := visit(p, "/sign-in", nil, nil, http.StatusOK); err != nil {
		return nil, err
	}
	resp, _, err := visit(p, "/sign-in", url.Values{"email": {email}, "password": {password}, "return_to": {""}}, nil, http.StatusSeeOther)
	if err != nil {
		return nil, err
	}
	for _, cookie := range resp.Cookies() {
		if cookie.Name == "__Host-gatehouse" {
			return cookie, nil
		}
	}
	return nil, errors.New("a sign-in sets no cookie of a session")
}
