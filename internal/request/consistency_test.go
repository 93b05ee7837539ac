package request_test

import (
	"encoding/base64"
	"errors"
	"regexp"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
)

const id = "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11"

func TestTokensComeBackAsTheyWere(t *testing.T) {
	position := request.Position{System: 1<<63 + 7, Timeline: 3, LSN: 0x1_2345_6789}
	opaque := regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	for _, token := range []request.ConsistencyToken{request.TokenOf(id), request.TokenAt(position)} {
		text := token.String()
		if !opaque.MatchString(text) {
			t.Errorf("%q is not URL-safe", text)
		}
		got, err := request.ParseToken(text)
		if err != nil || got != token {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	if got, ok := request.TokenOf(id).EventID(); !ok || got != id {
		t.Errorf("event %q, %v", got, ok)
	}
	if _, ok := request.TokenOf(id).Position(); ok {
		t.Error("an event has a position")
	}
	if got, ok := request.TokenAt(position).Position(); !ok || got != position {
		t.Errorf("position %+v, %v", got, ok)
	}
	if _, ok := request.TokenAt(position).EventID(); ok {
		t.Error("a position names an event")
	}
	if text := (request.ConsistencyToken{}).String(); text != "" {
		t.Errorf("the zero token is %q", text)
	}
}

func TestParseRefusesWhatNobodyAnswered(t *testing.T) {
	of := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	good := request.TokenOf(id).String()
	for _, text := range []string{
		"", "x", good + "=", good + "A", " " + good, good + "\n", good[:10] + "\n" + good[10:], of(""), of("e"), of("e" + id + "0"),
		of("eNO-UUID"), of("E" + id), of("p"), of("p" + "12345678" + "1234" + "1234567"), of("p12345678123412345678x"),
		of("p" + string(make([]byte, 20))), "é",
	} {
		_, err := request.ParseToken(text)
		var e *apierr.Error
		if !errors.As(err, &e) || e.Kind != apierr.InvalidArgument || e.Reason != "INVALID_CONSISTENCY_TOKEN" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(request.TokenOf(id).String())
	f.Add(request.TokenAt(request.Position{System: 1, Timeline: 1, LSN: 1}).String())
	f.Fuzz(func(t *testing.T, text string) {
		if token, err := request.ParseToken(text); err == nil && token.String() != text {
			t.Errorf("%q is read as %q: a token has two spellings", text, token)
		}
	})
}

func TestContexts(t *testing.T) {
	if request.Consistency(t.Context()) != "" {
		t.Error("a context has a token by itself")
	}
	if got := request.Consistency(request.WithConsistency(t.Context(), "token")); got != "token" {
		t.Errorf("the request's token is %q", got)
	}
	request.Wrote(t.Context(), "nothing happens")
	ctx := &request.Context{}
	ctx.Begin(t.Context())
	if ctx.Written() != "" {
		t.Error("there is an answer before one was given")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { request.Wrote(ctx, "earlier") })
	}
	wg.Wait()
	request.Wrote(ctx, "later")
	if got := ctx.Written(); got != "later" {
		t.Errorf("the answer is %q", got)
	}
}

// Tokens that were answered before are read after: clients keep them.
func TestTokensOfBefore(t *testing.T) {
	for text, want := range map[string]request.ConsistencyToken{
		"ZTAxOTJmMGMxLTJmNmUtN2MzYS05ZDU1LTBiOGE0ZjNjMmUxMQ": request.TokenOf(id),
		"cIAAAAAAAAAHAAAAAwAAAAEjRWeJ":                       request.TokenAt(request.Position{System: 1<<63 + 7, Timeline: 3, LSN: 0x1_2345_6789}),
	} {
		if got, err := request.ParseToken(text); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v; want %+v", text, got, err, want)
		}
		if want.String() != text {
			t.Errorf("%+v is written as %s, not %s", want, want, text)
		}
	}
}
