package openid

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// sinceParameter is ours, in the request that comes back from the page that signs in: the Unix
// milliseconds at which the person was sent there. It is not sealed: whoever could change it in the
// browser could as well take prompt=login out of the request, and clients that care check
// auth_time.
const sinceParameter = "gatehouse_since"

// sinceLimit is how long the way over the page that signs in may take.
const sinceLimit = time.Hour

// clockSkew is how far the clocks of two instances may differ.
const clockSkew = time.Minute

// maxMaxAge is the longest max_age that makes a difference: sessions end earlier.
const maxMaxAge = 10 * 365 * 24 * time.Hour

// challengeForm is a SHA-256 in base64url without padding (RFC 7636, section 4.2).
var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// authorization is a request of a known client that can be granted.
type authorization struct {
	client    client.Client
	scope     []string
	challenge string
	nonce     string
	silent    bool          // prompt=none: nobody may be asked anything
	login     bool          // the person has to be proven anew
	maxAge    time.Duration // since the person was proven at most; negative: any
	subject   string        // who has to be signed in; "": anybody
	since     time.Time     // a proof after this is new enough; zero: the person was not sent to sign in
	query     url.Values
}

// judge reads a request whose client and destination are good. Its errors are sent there.
func (p *Provider) judge(c client.Client, query url.Values, repeated []string) (authorization, error) {
	a := authorization{client: c, query: query, challenge: query.Get("code_challenge"), nonce: query.Get("nonce")}
	if err := checkForm(query, repeated); err != nil {
		return a, err
	}
	a.scope = grantable(c, query.Get("scope"))
	if len(a.scope) == 0 {
		return a, oidc.ErrInvalidScope().WithDescription("no scope that this client may ask for")
	}
	prompts := strings.Fields(query.Get("prompt"))
	a.silent = slices.Contains(prompts, oidc.PromptNone)
	if a.silent && len(prompts) > 1 {
		return a, invalidRequest("prompt is none and something else")
	}
	// To choose another account is to sign in with it: a browser has one session. There is nothing
	// to consent to, so that prompt=consent asks nothing.
	a.login = slices.Contains(prompts, oidc.PromptLogin) || slices.Contains(prompts, oidc.PromptSelectAccount)
	var err error
	if a.maxAge, err = maxAgeOf(query); err != nil {
		return a, err
	}
	a.since = p.sinceOf(query)
	if hint := query.Get("id_token_hint"); hint != "" {
		told, err := p.hint(hint)
		if err != nil {
			return a, err
		}
		a.subject = told.Subject
	}
	return a, nil
}

// checkForm refuses what no client is answered by a code for.
func checkForm(query url.Values, repeated []string) error {
	switch {
	case len(repeated) > 0:
		return invalidRequest("a parameter is repeated")
	case query.Has("request"):
		return oidc.ErrRequestNotSupported().WithDescription("request objects are not supported")
	case query.Has("request_uri"):
		return &oidc.Error{ErrorType: requestURINotSupported, Description: "request_uri is not supported"}
	case query.Has("registration"):
		return &oidc.Error{ErrorType: registrationNotSupported, Description: "registration is not supported"}
	case !query.Has("response_type"):
		return invalidRequest("response_type is missing")
	case query.Get("response_type") != string(oidc.ResponseTypeCode): // R32
		return &oidc.Error{ErrorType: unsupportedResponseType, Description: "the response type is code, and no other"}
	case query.Has("response_mode") && query.Get("response_mode") != string(oidc.ResponseModeQuery):
		return invalidRequest("the response mode is query, and no other")
	case !query.Has("code_challenge"): // R30
		return invalidRequest("code_challenge is missing: PKCE is required (RFC 7636)")
	case query.Get("code_challenge_method") != string(oidc.CodeChallengeMethodS256): // without one it is plain
		return invalidRequest("code_challenge_method must be S256")
	case !challengeForm.MatchString(query.Get("code_challenge")):
		return invalidRequest("code_challenge is not the base64url of a SHA-256")
	case len(query.Get("nonce")) > maxNonce:
		return invalidRequest("nonce is too long")
	}
	return nil
}

// grantable is what of the scopes that a client asks for it may have, each once. Others are left
// out: the answer of the token endpoint says which were granted (RFC 6749, section 3.3).
func grantable(c client.Client, asked string) []string {
	var granted []string
	for _, scope := range strings.Fields(asked) {
		if c.AllowsScope(scope) && !slices.Contains(granted, scope) {
			granted = append(granted, scope)
		}
	}
	return granted
}

func maxAgeOf(query url.Values) (time.Duration, error) {
	if !query.Has("max_age") {
		return -1, nil
	}
	seconds, err := strconv.ParseUint(query.Get("max_age"), 10, 63)
	if err != nil {
		return 0, invalidRequest("max_age is not a number of seconds")
	}
	if seconds > uint64(maxMaxAge/time.Second) {
		return maxMaxAge, nil
	}
	return time.Duration(seconds) * time.Second, nil
}

// sinceOf is when the person was sent to sign in, zero when that was not so or is too long ago.
func (p *Provider) sinceOf(query url.Values) time.Time {
	ms, err := strconv.ParseInt(query.Get(sinceParameter), 10, 64)
	if err != nil {
		return time.Time{}
	}
	since, now := time.UnixMilli(ms), p.Now()
	if since.After(now.Add(clockSkew)) || now.Sub(since) > sinceLimit {
		return time.Time{}
	}
	return since
}

// hinted is what a client tells by an ID token that it was given once.
type hinted struct {
	Subject  string `json:"sub"`
	Audience string `json:"aud"` // the client's id: our ID tokens have one audience
}

// hint reads an id_token_hint: a token that this issuer has signed, however long ago.
func (p *Provider) hint(compact string) (hinted, error) {
	payload, err := p.IDTokens.VerifyIDToken(compact)
	var h hinted
	if err == nil {
		err = json.Unmarshal(payload, &h)
	}
	if err != nil || h.Subject == "" || h.Audience == "" {
		return hinted{}, invalidRequest("id_token_hint is not an ID token of this issuer")
	}
	return h, nil
}

// clientOf finds a client by an id that anybody may have sent.
func (p *Provider) clientOf(ctx context.Context, id string) (client.Client, error) {
	if !plain(id) {
		return client.Client{}, client.ErrNotFound
	}
	return p.Clients.Get(ctx, id)
}

// plain reports whether a text is a possible id or secret: printable ASCII of a bounded length.
func plain(s string) bool {
	if s == "" || len(s) > maxCredential {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
