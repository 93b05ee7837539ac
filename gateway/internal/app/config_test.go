package app_test

import (
	"strings"
	"testing"
)

// A contradiction stops the start with one sentence that names the variable and says how to fix it.
func TestContradictionsStopTheStart(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		says []string
	}{
		"certificate without key":     {map[string]string{"GATEHOUSE_GATEWAY_TLS_CERT_FILE": "c.pem"}, []string{"GATEHOUSE_GATEWAY_TLS_KEY_FILE", "set both"}},
		"key without certificate":     {map[string]string{"GATEHOUSE_GATEWAY_TLS_KEY_FILE": "k.pem"}, []string{"GATEHOUSE_GATEWAY_TLS_CERT_FILE", "set both"}},
		"everywhere without TLS":      {map[string]string{"GATEHOUSE_GATEWAY_LISTEN": "0.0.0.0:8080"}, []string{"GATEHOUSE_GATEWAY_LISTEN", "TLS", "127.0.0.1"}},
		"every IPv6 without TLS":      {map[string]string{"GATEHOUSE_GATEWAY_LISTEN": "[::]:8080"}, []string{"TLS"}},
		"no host without TLS":         {map[string]string{"GATEHOUSE_GATEWAY_LISTEN": ":8080"}, []string{"TLS"}},
		"a name without TLS":          {map[string]string{"GATEHOUSE_GATEWAY_LISTEN": "gateway.example:8080"}, []string{"TLS"}},
		"no port":                     {map[string]string{"GATEHOUSE_GATEWAY_LISTEN": "127.0.0.1"}, []string{"host:port"}},
		"any origin":                  {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "*"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"origin pattern":              {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://*.example.com"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"origin with a path":          {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://example.com/"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"null origin":                 {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "null"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"origin of no port":           {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://example.com:"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"origin of a high port":       {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://example.com:99999"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"origin in capitals":          {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://Example.com"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"origin beyond ASCII":         {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://bücher.example"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"second origin is bad":        {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://a.example, https://b.example:0"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS", "b.example"}},
		"IPv6 origin, long form":      {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://[0:0:0:0:0:0:0:1]"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS"}},
		"https origin of an IP":       {map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://10.0.0.5"}, []string{"GATEHOUSE_GATEWAY_CORS_ORIGINS", "host name"}},
		"proxy by name":               {map[string]string{"GATEHOUSE_GATEWAY_TRUSTED_PROXIES": "proxy"}, []string{"GATEHOUSE_GATEWAY_TRUSTED_PROXIES", "10.0.0.5"}},
		"no budget":                   {map[string]string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "0"}, []string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS", "above 0"}},
		"budget that is not a number": {map[string]string{"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT": "NaN"}, []string{"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT"}},
		"no burst":                    {map[string]string{"GATEHOUSE_GATEWAY_BURST_CREDENTIALS": "0"}, []string{"GATEHOUSE_GATEWAY_BURST_CREDENTIALS"}},
		"no body":                     {map[string]string{"GATEHOUSE_GATEWAY_BODY_LIMIT": "0"}, []string{"GATEHOUSE_GATEWAY_BODY_LIMIT"}},
		"too much body":               {map[string]string{"GATEHOUSE_GATEWAY_BODY_LIMIT": "9999999"}, []string{"GATEHOUSE_GATEWAY_BODY_LIMIT"}},
		"too many streams":            {map[string]string{"GATEHOUSE_GATEWAY_STREAMS": "2001"}, []string{"GATEHOUSE_GATEWAY_STREAMS", "2000"}},
		"a subject above all streams": {map[string]string{"GATEHOUSE_GATEWAY_STREAMS": "10", "GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT": "11"}, []string{"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT"}},
		"a subject without streams":   {map[string]string{"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT": "0"}, []string{"GATEHOUSE_GATEWAY_STREAMS_PER_SUBJECT"}},
		"unknown name":                {map[string]string{"GATEHOUSE_GATEWAY_LISTENS": "127.0.0.1:1"}, []string{"GATEHOUSE_GATEWAY_LISTEN"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(t, c.env)
			if err == nil {
				t.Fatal("no error")
			}
			for _, word := range c.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one sentence: %q", err)
			}
		})
	}
	for name, env := range map[string]map[string]string{
		"defaults": nil, "loopback": {"GATEHOUSE_GATEWAY_LISTEN": "[::1]:0"}, "localhost": {"GATEHOUSE_GATEWAY_LISTEN": "localhost:8080"},
		"everywhere with TLS": {"GATEHOUSE_GATEWAY_LISTEN": "0.0.0.0:443", "GATEHOUSE_GATEWAY_TLS_CERT_FILE": "c.pem", "GATEHOUSE_GATEWAY_TLS_KEY_FILE": "k.pem"},
		"proxies":             {"GATEHOUSE_GATEWAY_TRUSTED_PROXIES": "10.0.0.5,10.1.0.0/16,::1"},
		"proxies with blanks": {"GATEHOUSE_GATEWAY_TRUSTED_PROXIES": " 10.0.0.5, 10.1.0.0/16 ,\t::1, "},
		"origins":             {"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://a.example,http://localhost:3000,http://10.0.0.5:8080,http://[::1]:8443"},
		"default ports":       {"GATEHOUSE_GATEWAY_CORS_ORIGINS": "https://app.example.com:443, http://app.example.com:80,https://app.example.com:80"},
	} {
		if _, err := parse(t, env); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
