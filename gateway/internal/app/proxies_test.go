package app_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/metadata"

	requests "github.com/gatehouse/gatehouse/internal/request"
)

// catalogue is what common proxies, CDNs, platforms and browsers add to honest requests, by
// product.
var catalogue = map[string]map[string]string{
	"ingress-nginx": {
		"X-Original-Forwarded-For": "198.51.100.7", "X-Forwarded-Scheme": "https", "X-Scheme": "https", "X-Real-Ip": "198.51.100.7",
		"X-Forwarded-For": "198.51.100.7, 10.0.0.1", "X-Forwarded-Host": "api.example.com", "X-Forwarded-Port": "443", "X-Forwarded-Proto": "https",
		"X-Original-Method": "GET", "X-Service-Name": "gateway", "X-Request-Id": "9f5c0e1d2b3a4f5e",
	},
	"Traefik": {
		"X-Forwarded-Server": "traefik-0", "X-Forwarded-Prefix": "/auth", "X-Forwarded-Tls-Client-Cert": "MIIC", "X-Forwarded-Tls-Client-Cert-Info": "Subject",
		"X-Replaced-Path": "/x",
	},
	"HAProxy":          {"Forwarded": "for=198.51.100.7;proto=https", "X-Client-Ip": "198.51.100.7", "X-Ssl-Client-Cn": "x", "X-Forwarded-Ssl": "on"},
	"Apache, Squid":    {"Via": "1.1 proxy (squid/5.7)", "X-Forwarded-By": "proxy", "Front-End-Https": "on", "Proxy-Connection": "keep-alive", "Max-Forwards": "9"},
	"WebSphere plugin": {"$wssc": "https", "$wsra": "198.51.100.7", "$wssn": "api.example.com"},
	"Envoy, Istio": {
		"X-Envoy-External-Address": "198.51.100.7", "X-Envoy-Attempt-Count": "1", "X-Envoy-Expected-Rq-Timeout-Ms": "15000", "X-Envoy-Original-Path": "/admin",
		"X-Envoy-Peer-Metadata": "ChQ", "X-Envoy-Decorator-Operation": "a.b.svc:80/*", "X-Envoy-Internal": "true", "X-Forwarded-Client-Cert": "URI=spiffe://x/svc/auth",
	},
	"Linkerd": {"L5d-Client-Id": "default.x.serviceaccount.identity.linkerd.cluster.local", "L5d-Dst-Canonical": "x.svc.cluster.local:80"},
	"Azure Front Door and Application Gateway": {
		"X-Original-Host": "api.example.com", "X-Azure-Ref": "0abc", "X-Azure-Clientip": "198.51.100.7", "X-Azure-Socketip": "198.51.100.7", "X-Azure-Fdid": "a0a0a0a0",
		"X-Azure-Requestchain": "hops=1", "X-Appgw-Trace-Id": "abc", "X-Fd-Healthprobe": "1",
	},
	"Azure App Service": {
		"X-Arr-Log-Id": "b1b1", "X-Arr-Ssl": "2048|256|CN=x", "X-Waws-Unencoded-Url": "/x", "X-Site-Deployment-Id": "x", "Client-Ip": "198.51.100.7:50123",
		"Disguised-Host": "api.example.com", "Was-Default-Hostname": "x.azurewebsites.net", "X-Appservice-Proto": "https", "X-Ms-Client-Principal-Id": "x",
	},
	"AWS": {
		"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678", "X-Amz-Cf-Id": "abc==", "Cloudfront-Viewer-Country": "DE",
		"Cloudfront-Viewer-Address": "198.51.100.7:46532", "Cloudfront-Forwarded-Proto": "https", "X-Amzn-Tls-Version": "TLSv1.3",
		"X-Amzn-Oidc-Identity": "x", "X-Amzn-Mtls-Clientcert-Subject": "CN=x", "X-Amzn-Apigateway-Api-Id": "abc",
	},
	"Google Cloud": {
		"X-Cloud-Trace-Context": "105445aa7843bc8bf206b12000100000/1;o=1", "X-Goog-Iap-Jwt-Assertion": "ey", "X-Goog-Authenticated-User-Email": "accounts.google.com:a@example.com",
		"X-Appengine-Country": "DE", "X-Client-Geo-Location": "DE",
	},
	"Cloudflare": {
		"Cf-Connecting-Ip": "198.51.100.7", "Cf-Ipcountry": "DE", "Cf-Ray": "7d0a-FRA", "Cf-Visitor": `{"scheme":"https"}`, "Cdn-Loop": "cloudflare; loops=1",
		"True-Client-Ip": "198.51.100.7", "Cf-Access-Jwt-Assertion": "ey", "Cf-Worker": "example.com",
	},
	"Fastly, Varnish": {"Fastly-Client-Ip": "198.51.100.7", "Fastly-Ff": "a!b!c", "Fastly-Ssl": "1", "X-Varnish": "12345", "X-Timer": "S1,VS0"},
	"Akamai":          {"Akamai-Origin-Hop": "1", "X-Akamai-Edgescape": "georegion=1", "X-Akamai-Device-Characteristics": "is_mobile=true"},
	"Vercel, Netlify, Fly, Heroku, Render": {
		"X-Vercel-Id": "fra1::abc", "X-Vercel-Forwarded-For": "198.51.100.7", "X-Nf-Client-Connection-Ip": "198.51.100.7", "Fly-Client-Ip": "198.51.100.7",
		"Fly-Forwarded-Port": "443", "X-Request-Start": "t=1700000000", "Connect-Time": "0", "Rndr-Id": "abc",
	},
	"Kong": {"X-Consumer-Id": "x", "X-Consumer-Username": "x", "X-Credential-Identifier": "x", "X-Kong-Request-Id": "abc", "X-Forwarded-Path": "/x"},
	"oauth2-proxy": {
		"X-Forwarded-User": "x", "X-Forwarded-Email": "a@example.com", "X-Forwarded-Access-Token": "ey", "X-Auth-Request-User": "x", "X-Auth-Request-Email": "a@example.com",
	},
	"offices": {"X-Bluecoat-Via": "abc", "X-Imforwards": "20", "Z-Forwarded-For": "198.51.100.7", "X-Authenticated-User": "x", "X-Proxyuser-Ip": "10.0.0.9"},
	"tracers": {
		"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate": "a=1", "Baggage": "a=1", "Sentry-Trace": "abc-def-1",
		"X-B3-Traceid": "463ac35c9f6413ad48485a3953bb6124", "X-B3-Spanid": "a2fb4a1d1a96d312", "X-B3-Sampled": "1", "B3": "0", "Uber-Trace-Id": "1:2:0:1",
		"X-Datadog-Trace-Id": "1", "X-Datadog-Sampling-Priority": "1", "Newrelic": "ey", "Elastic-Apm-Traceparent": "00-1-2-01", "X-Ot-Span-Context": "1",
	},
	"browsers": {
		"Accept": "*/*", "Accept-Encoding": "gzip, deflate, br, zstd", "Cache-Control": "no-cache", "Pragma": "no-cache", "Dnt": "1", "Sec-Gpc": "1",
		"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Ch-Ua": `"Chromium";v="130"`, "Sec-Ch-Ua-Mobile": "?0",
		"Sec-Ch-Ua-Platform": `"Linux"`, "Upgrade-Insecure-Requests": "1", "Priority": "u=1, i", "Save-Data": "on", "Referer": "https://app.example.com/",
		"Origin": "https://app.example.com", "X-Requested-With": "XMLHttpRequest", "If-None-Match": `"v1"`, "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT",
		"Cookie": "a=b", "Sec-Purpose": "prefetch", "Te": "trailers", "Range": "bytes=0-1", "Device-Memory": "8",
	},
	"names with underscores": {"X_Forwarded_For": "198.51.100.7", "X_Real_Ip": "198.51.100.7", "If_Match": `"old"`, "Authorization_": "Bearer x", "Http_Host": "x"},
}

// R51: what ordinary proxies and browsers add is not a reason to refuse a request, changes nothing
// and reaches no service.
func TestHeadersOfOrdinaryProxies(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	var (
		mu   sync.Mutex
		seen []string // names of the metadata that the last call brought
	)
	r.Users.Hook(func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		mu.Lock()
		defer mu.Unlock()
		seen = slices.Sorted(maps.Keys(md))
		return nil
	})
	ask := func(header map[string]string) (answer, []string) {
		a := r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id), header: header})
		mu.Lock()
		defer mu.Unlock()
		told := seen
		seen = nil
		return a, told
	}
	plain, metadataOf := ask(nil)
	if plain.status != http.StatusOK || len(metadataOf) == 0 {
		t.Fatalf("the control: %d %s", plain.status, plain.body)
	}
	names := map[string]bool{}
	for product, headers := range catalogue {
		for name, value := range headers {
			names[name] = true
			a, told := ask(map[string]string{name: value})
			if a.status != http.StatusOK || len(a.body) != len(plain.body) || !slices.Equal(told, metadataOf) {
				t.Errorf("%s: %s: %s: %d %s; the service is told %v, want %v", product, name, value, a.status, a.body, told, metadataOf)
			}
		}
		if a, told := ask(headers); a.status != http.StatusOK || !slices.Equal(told, metadataOf) {
			t.Errorf("%s, all together: %d %s; the service is told %v", product, a.status, a.body, told)
		}
	}
	if len(names) < 60 {
		t.Errorf("the catalogue has only %d names", len(names))
	}
}

// R90: a service is told where the client is as the gateway sees it, and nothing that the client
// says of itself but its bounded name and the languages that it is answered in.
func TestServicesAreToldTheClient(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"})
	id := r.Users.Add("a@example.com", "A")
	told := make(chan requests.Client, 1)
	r.Users.Hook(func(ctx context.Context) error {
		told <- requests.ClientOf(ctx)
		return nil
	})
	for name, c := range map[string]struct {
		header map[string]string
		want   requests.Client
	}{
		"through a proxy": {map[string]string{"X-Forwarded-For": "192.0.2.99, 203.0.113.7", "User-Agent": "curl/8.5.0"}, requests.Client{Address: "203.0.113.7", Agent: "curl/8.5.0"}},
		"in German":       {map[string]string{"User-Agent": "a", "Accept-Language": "de-AT,de;q=0.9"}, requests.Client{Address: "127.0.0.1", Agent: "a", Language: "de-AT,de;q=0.9"}},
		"in nothing":      {map[string]string{"User-Agent": "a", "Accept-Language": "de<b>"}, requests.Client{Address: "127.0.0.1", Agent: "a"}},
		"directly":        {map[string]string{"User-Agent": strings.Repeat("a", 1000)}, requests.Client{Address: "127.0.0.1", Agent: strings.Repeat("a", 256)}},
		"an unusual name": {map[string]string{"User-Agent": "Zo\u00eb/1 (\u202e)"}, requests.Client{Address: "127.0.0.1", Agent: "Zo/1 ()"}},
	} {
		if a := r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id), header: c.header}); a.status != http.StatusOK {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		} else if got := <-told; got != c.want {
			t.Errorf("%s: the service is told %+v, want %+v", name, got, c.want)
		}
	}
	for _, header := range []string{requests.ClientAddressHeader, requests.ClientAgentHeader, requests.ClientLanguageHeader, "Grpc-Metadata-" + requests.ClientAddressHeader} {
		if a := r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id), header: map[string]string{header: "203.0.113.7"}}); a.status != http.StatusBadRequest {
			t.Errorf("a client sets %s: %d %s", header, a.status, a.body)
		}
	}
}

// R55: balancers write the client's port behind its address, and people write blanks into lists;
// both still tell clients apart.
func TestClientsBehindABalancer(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "0.5", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS": "300",
		"GATEHOUSE_GATEWAY_TRUSTED_PROXIES": "127.0.0.1 , 10.0.0.0/8"})
	port := 1024
	from := func(format string) answer {
		port++
		return r.do(request{path: "/livez", header: map[string]string{"X-Forwarded-For": "192.0.2.99, " + fmt.Sprintf(format, port) + ", 10.0.0.9:443"}})
	}
	exhaust(t, 400, func() answer { return from("203.0.113.7:%d") })
	exhaust(t, 400, func() answer { return from("[2001:db8::1]:%d") })
	for address, want := range map[string]int{
		"203.0.113.7:%d": 429, "203.0.113.8:%d": 200, "[2001:db8::2]:%d": 429, "[2001:db8:0:1::1]:%d": 200,
	} {
		if a := from(address); a.status != want {
			t.Errorf("%s: %d, want %d", address, a.status, want)
		}
	}
	for _, address := range []string{"203.0.113.7", "2001:db8::3", "[2001:db8::4]"} {
		if a := r.do(request{path: "/livez", header: map[string]string{"X-Forwarded-For": address}}); a.status != http.StatusTooManyRequests {
			t.Errorf("%s is another client without its port: %d", address, a.status)
		}
	}
}
