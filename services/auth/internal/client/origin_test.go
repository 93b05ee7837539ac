package client_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// R27: an origin is registered in the one form in which browsers send it.
func TestWebOrigins(t *testing.T) {
	for _, origin := range []string{
		"https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://127.0.0.1:3000", "http://[::1]:3000",
	} {
		if rule := client.OriginRule(origin); rule != "" {
			t.Errorf("%s breaks %s", origin, rule)
		}
	}
	for origin, want := range map[string]string{
		"null":                         "uri.form",
		"*":                            "uri.wildcard",
		"https://*.example.com":        "uri.wildcard",
		"app.example.com":              "uri.form",
		"https://app.example.com/":     "origin.form",
		"https://app.example.com/app":  "origin.form",
		"https://app.example.com?a":    "origin.form",
		"https://app.example.com:443":  "origin.port",
		"http://localhost:80":          "origin.port",
		"http://app.example.com":       "uri.scheme",
		"https://App.example.com":      "uri.host",
		"https://app.example.com.":     "uri.host",
		"https://user@app.example.com": "uri.userinfo",
		"https://app.example.com#":     "uri.fragment",
		"https://[2001:db8::1]":        "uri.host",
		"https://192.0.2.1:8443":       "uri.host",
		"com.example.app://app":        "uri.scheme",
		"file://":                      "uri.scheme",
	} {
		if rule := client.OriginRule(origin); rule != want {
			t.Errorf("%q breaks %q, want %q", origin, rule, want)
		}
	}
}

// An audience is another API than the platform's own, in every spelling.
func TestAudiences(t *testing.T) {
	const issuer, audience = "https://id.example.com", "urn:gatehouse:api"
	for _, a := range []string{"https://api.example.com", "https://api.example.com/v1/", "http://orders.internal:8080", "urn:example:orders", "https://id.example.com/other"} {
		if rule := client.AudienceRule(a, issuer, audience); rule != "" {
			t.Errorf("%s breaks %s", a, rule)
		}
	}
	for a, want := range map[string]string{
		"https://id.example.com":      "audience.platform",
		"https://id.example.com/":     "audience.platform",
		"https://id.example.com:443":  "audience.platform",
		"https://ID.example.com":      "audience.platform",
		"urn:gatehouse:api":           "audience.platform",
		"api":                         "uri.form",
		"/api":                        "uri.form",
		"https:":                      "uri.form",
		"":                            "uri.form",
		"https://api.example.com#a":   "uri.fragment",
		"https://*.example.com":       "uri.wildcard",
		"https://a:b@api.example.com": "uri.userinfo",
		"https://api.example.com/a b": "uri.form",
	} {
		if rule := client.AudienceRule(a, issuer, audience); rule != want {
			t.Errorf("%q breaks %q, want %q", a, rule, want)
		}
	}
}
