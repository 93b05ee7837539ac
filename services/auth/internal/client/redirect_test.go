package client_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// R28: nothing but the registered URI, however alike, is answered to.
func TestOnlyTheRegisteredRedirectIsAllowed(t *testing.T) {
	const registered = "https://app.example.com/callback?tenant=a"
	c := client.Client{RedirectURIs: []string{registered, "https://app.example.com/second"}}
	if !c.AllowsRedirect(registered) || !c.AllowsRedirect("https://app.example.com/second") {
		t.Fatal("a registered redirect is refused")
	}
	for _, variant := range []string{
		"", "https://app.example.com", "https://app.example.com/", "https://app.example.com/callback",
		"HTTPS://app.example.com/callback?tenant=a", "https://APP.example.com/callback?tenant=a", "https://app.example.com/Callback?tenant=a",
		"http://app.example.com/callback?tenant=a", "https://app.example.com:443/callback?tenant=a", "https://app.example.com:8443/callback?tenant=a",
		"https://app.example.com./callback?tenant=a", "https://app.example.com.evil.example/callback?tenant=a",
		"https://evil.example/https://app.example.com/callback?tenant=a", "https://sub.app.example.com/callback?tenant=a",
		"https://app.example.com@evil.example/callback?tenant=a", "https://user@app.example.com/callback?tenant=a",
		"https://app.example.com:pass@evil.example/callback?tenant=a",
		"https://app.example.com/callback/?tenant=a", "https://app.example.com//callback?tenant=a", "https://app.example.com/./callback?tenant=a",
		"https://app.example.com/x/../callback?tenant=a", "https://app.example.com/%63allback?tenant=a", "https://app.example.com/callback%3Ftenant=a",
		"https://app.example.com/callback%2f..?tenant=a", "https://app.example.com/x/%2e%2e/callback?tenant=a",
		"https://app.example.com/%2563allback?tenant=a", "https://app.example.com/callback?tenant=%61",
		`https://app.example.com\callback?tenant=a`, `https://app.example.com/callback\?tenant=a`,
		"https://app.example.com/callback?tenant=b", "https://app.example.com/callback?tenant=a&x=1", "https://app.example.com/callback?x=1&tenant=a",
		"https://app.example.com/callback?tenant=a#", "https://app.example.com/callback?tenant=a#x", " https://app.example.com/callback?tenant=a",
		"https://app.example.com/callback?tenant=a ", "https://app.example.com/callback?tenant=a\n", "//app.example.com/callback?tenant=a",
		"/callback?tenant=a", "https:/app.example.com/callback?tenant=a", "https:app.example.com/callback?tenant=a", "javascript:alert(1)",
		"https://аpp.example.com/callback?tenant=a", "https://xn--pp-6kc.example.com/callback?tenant=a",
		"https://app.example.com/call\tback?tenant=a", "https://app.example.com/callback?tenant=a\x00", "https://*.example.com/callback?tenant=a",
	} {
		if c.AllowsRedirect(variant) {
			t.Errorf("%q is allowed", variant)
		}
	}
	if c.AllowsPostLogout(registered) {
		t.Error("a redirect is allowed after a sign-out though it is registered for sign-ins only")
	}
	c.PostLogoutRedirectURIs = []string{"https://app.example.com/bye"}
	if !c.AllowsPostLogout("https://app.example.com/bye") || c.AllowsPostLogout("https://app.example.com/bye/") || c.AllowsRedirect("https://app.example.com/bye") {
		t.Error("the lists for sign-in and sign-out are not each its own")
	}
}

// R28: only the port of a redirect on this machine may vary (RFC 8252, section 7.3).
func TestOnlyThePortOfALoopbackVaries(t *testing.T) {
	for _, registered := range []string{
		"http://127.0.0.1/callback", "http://127.0.0.1:4649/callback", "http://[::1]/callback", "http://[::1]:4649/callback",
		"http://localhost/callback", "http://localhost:4649/callback", "http://127.0.0.1", "http://127.0.0.1:4649?a=b",
	} {
		c := client.Client{RedirectURIs: []string{registered}}
		scheme, host, rest := split(registered)
		for _, port := range []string{"", ":1", ":80", ":4649", ":51004", ":65535"} {
			if uri := scheme + host + port + rest; !c.AllowsRedirect(uri) {
				t.Errorf("%s: %s is refused", registered, uri)
			}
		}
		for _, variant := range []string{
			scheme + host + ":" + rest, scheme + host + ":0" + rest, scheme + host + ":080" + rest, scheme + host + ":65536" + rest,
			scheme + host + ":+80" + rest, scheme + host + ":80:80" + rest, scheme + host + ":80@evil.example" + rest, scheme + host + ":80.evil.example" + rest,
			scheme + host + ".evil.example" + rest, scheme + host + ":8 0" + rest, scheme + host + `:80\` + rest, scheme + host + ":80#" + rest,
			"https://" + host + rest, "https://" + host + ":4649" + rest, "HTTP://" + host + ":80" + rest, scheme + host + ":80" + rest + "x",
			scheme + host + ":80/x" + rest, scheme + "user@" + host + ":80" + rest, scheme + "127.0.0.2" + rest, scheme + "127.1" + rest,
			scheme + "2130706433" + rest, scheme + "0.0.0.0" + rest, scheme + "[::ffff:127.0.0.1]" + rest, scheme + "[0:0:0:0:0:0:0:1]" + rest,
			scheme + "evil.example:80" + rest, scheme + strings.ToUpper("localhost") + rest,
		} {
			if c.AllowsRedirect(variant) {
				t.Errorf("%s: %s is allowed", registered, variant)
			}
		}
		for _, other := range []string{"127.0.0.1", "[::1]", "localhost"} {
			if other != host && c.AllowsRedirect(scheme+other+":80"+rest) {
				t.Errorf("%s: another host of this machine, %s, is allowed", registered, other)
			}
		}
	}
	elsewhere := client.Client{RedirectURIs: []string{"https://127.0.0.1/callback", "https://app.example.com/callback", "com.example.app:/callback"}}
	for _, variant := range []string{"https://127.0.0.1:80/callback", "https://app.example.com:80/callback", "com.example.app:80/callback"} {
		if elsewhere.AllowsRedirect(variant) {
			t.Errorf("%s is allowed: the port of others than http on this machine varies", variant)
		}
	}
}

func split(uri string) (scheme, host, rest string) {
	const http = "http://"
	uri = strings.TrimPrefix(uri, http)
	end := strings.IndexAny(uri, "/?")
	if end < 0 {
		end = len(uri)
	}
	host, rest = strings.TrimSuffix(uri[:end], ":4649"), uri[end:]
	return http, host, rest
}

// R28: what is registered is one whole URI, of https unless it stays on this machine or in an app.
func TestRedirectsThatCannotBeRegistered(t *testing.T) {
	for _, uri := range []string{
		"https://app.example.com", "https://app.example.com/", "https://app.example.com:8443/cb?a=b&c=%20", "https://xn--bcher-kva.example/cb",
		"https://192.0.2.1/cb", "https://[2001:db8::1]/cb", "http://127.0.0.1/cb", "http://127.0.0.1:4649/cb", "http://[::1]/cb", "http://localhost:3000/cb",
	} {
		for _, public := range []bool{true, false} {
			if rule := client.RedirectRule(uri, public); rule != "" {
				t.Errorf("%s of a client that is public: %t breaks %s", uri, public, rule)
			}
		}
	}
	for _, uri := range []string{"com.example.app:/cb", "com.example.app://cb", "com.example.my-app2:/a/b?c=d"} {
		if rule := client.RedirectRule(uri, true); rule != "" {
			t.Errorf("%s of a native app breaks %s", uri, rule)
		}
		if rule := client.RedirectRule(uri, false); rule != "uri.scheme" {
			t.Errorf("%s of a confidential client breaks %q, want uri.scheme", uri, rule)
		}
	}
	for want, uris := range map[string][]string{
		"uri.form": {
			"", "/cb", "//app.example.com/cb", "app.example.com/cb", "HTTPS://app.example.com/cb", "https://[192.0.2.1]/cb",
			"com.example.app:cb", "com.example.app:", `https://app.example.com\cb`, "https://app.example.com/ cb",
			"https://app.example.com/cb\n", "https://app.example.com/c\tb", "https://app.example.com/%zz",
			"https://app.example.com/cb%2", "https://äpp.example.com/cb", "https://app.example.com/<script>",
			`https://app.example.com/"`,
		},
		"uri.host": {
			"https://", "https:///cb", "https:app.example.com", "https:/app.example.com", "https://App.example.com/cb",
			"https://app.example.com./cb", "https://app..example.com/cb", "https://-app.example.com/cb",
			"https://app_1.example.com/cb", "https://2130706433/cb", "https://127.1/cb", "https://0x7f.1/cb", "https://192.0.2.01/cb",
			"https://[::0001]/cb", "https://[fe80::1%25eth0]/cb",
		},
		"uri.port": {
			"https://app.example.com:/cb", "https://app.example.com:0/cb", "https://app.example.com:0443/cb",
			"https://app.example.com:65536/cb",
		},
		"uri.scheme": {
			"http://app.example.com/cb", "http://127.0.0.2/cb", "http://0.0.0.0/cb", "http://localhost.example.com/cb",
			"ftp://app.example.com/cb", "javascript:alert(1)", "javascript://app.example.com/%0a1", "data:text/html,x",
			"file:///etc/passwd", "vbscript:x", "blob:https://app.example.com/x", "myapp:/cb", "urn:ietf:wg:oauth:2.0:oob",
		},
		"uri.fragment": {
			"https://app.example.com/cb#", "https://app.example.com/cb#x",
		},
		"uri.wildcard": {
			"https://*.example.com/cb", "https://app.example.com/*",
		},
		"uri.userinfo": {
			"https://user@app.example.com/cb", "https://a:b@app.example.com/cb", "https://@app.example.com/cb",
		},
		"uri.path": {
			"https://app.example.com/../cb", "https://app.example.com/a/./cb", "https://app.example.com/%2e%2E/cb",
			"https://app.example.com/%2e%2e%5cb", "https://app.example.com/%00", "com.example.app:/a/../b",
		},
	} {
		for _, uri := range uris {
			if rule := client.RedirectRule(uri, true); rule != want {
				t.Errorf("%q breaks %q, want %q", uri, rule, want)
			}
		}
	}
}

// What is registered is allowed, and nothing is a second spelling of it.
func FuzzAllowsRedirect(f *testing.F) {
	for _, uri := range []string{"https://app.example.com/cb", "http://127.0.0.1:1/cb", "http://[::1]", "com.example.app:/cb", "http://localhost?a"} {
		f.Add(uri, uri)
		f.Add(uri, uri+"x")
	}
	f.Fuzz(func(t *testing.T, registered, uri string) {
		if client.RedirectRule(registered, true) != "" {
			return
		}
		c := client.Client{RedirectURIs: []string{registered}}
		if !c.AllowsRedirect(registered) {
			t.Fatalf("%q is registered and refused", registered)
		}
		if !c.AllowsRedirect(uri) || uri == registered {
			return
		}
		if rule := client.RedirectRule(uri, true); rule != "" || !strings.HasPrefix(uri, "http://") {
			t.Fatalf("%q is allowed for %q, though it breaks %q", uri, registered, rule)
		}
	})
}
