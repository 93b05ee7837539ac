package request_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/request"
)

// What a client says of itself is bounded and cleaned before anybody keeps it, and again where it
// is read.
func TestClients(t *testing.T) {
	long := strings.Repeat("a", 10_000)
	for name, c := range map[string]struct {
		addresses, agents, languages []string
		want                         request.Client
	}{
		"both":             {[]string{"203.0.113.7"}, []string{"curl/8.5.0"}, nil, request.Client{Address: "203.0.113.7", Agent: "curl/8.5.0"}},
		"IPv6":             {[]string{"2001:DB8::1"}, nil, nil, request.Client{Address: "2001:db8::1"}},
		"IPv4 in IPv6":     {[]string{"::ffff:203.0.113.7"}, nil, nil, request.Client{Address: "203.0.113.7"}},
		"a zone":           {[]string{"fe80::1%eth0"}, nil, nil, request.Client{Address: "fe80::1"}},
		"not an address":   {[]string{"203.0.113.7, 10.0.0.1"}, nil, nil, request.Client{}},
		"a port":           {[]string{"203.0.113.7:80"}, nil, nil, request.Client{}},
		"two of both":      {[]string{"203.0.113.7", "203.0.113.8"}, []string{"a", "b"}, nil, request.Client{}},
		"controls":         {nil, []string{"a\x00b\x1b[31m\r\nc\u202e\u00e9\xff"}, nil, request.Client{Agent: "ab[31mc"}},
		"too long":         {nil, []string{long}, nil, request.Client{Agent: long[:256]}},
		"spaces around it": {nil, []string{"  a b  "}, nil, request.Client{Agent: "a b"}},
		"nothing":          {nil, nil, nil, request.Client{}},
		"languages":        {nil, nil, []string{" de-AT, de;q=0.9,*;q=0.1 "}, request.Client{Language: "de-AT, de;q=0.9,*;q=0.1"}},
		"two of languages": {nil, nil, []string{"de", "en"}, request.Client{}},
		"many languages":   {nil, nil, []string{strings.Repeat("de,", 50)}, request.Client{}},
		"a header in one":  {nil, nil, []string{"de\r\nBcc: eve@example.com"}, request.Client{}},
		"a letter in one":  {nil, nil, []string{"d\u00e9"}, request.Client{}},
	} {
		if got := request.ParseClient(c.addresses, c.agents, c.languages); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if got := request.NewClient(netip.Addr{}, "", ""); got != (request.Client{}) {
		t.Errorf("nobody is %+v", got)
	}
	want := request.Client{Address: "203.0.113.7", Agent: "a"}
	if got := request.ClientOf(request.WithClient(t.Context(), want)); got != want || request.ClientOf(t.Context()) != (request.Client{}) {
		t.Errorf("the context has %+v", got)
	}
}
