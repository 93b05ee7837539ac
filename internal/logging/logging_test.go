package logging_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/request"
)

func line(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatalf("not one JSON object: %v: %s", err, out)
	}
	return fields
}

// R92: a log that is read with cat or tail does nothing to the terminal, and a line still says what
// it was given.
func TestNothingThatActsIsLogged(t *testing.T) {
	var out bytes.Buffer
	path := "/\u009b31m\u202e\u2028\x1b"
	logging.New(logging.Config{Level: "info"}, &out).Info("request", "path", path)
	if text := out.String(); strings.ContainsAny(text, "\u009b\u202e\u2028\x1b") || !strings.Contains(text, `/\u009b31m\u202e\u2028\u001b`) {
		t.Errorf("%q", text)
	}
	if got := line(t, &out)["path"]; got != path {
		t.Errorf("%q", got)
	}
}

func TestLinesCarryWhatTheContextKnows(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(logging.Config{Level: "info"}, &out).With("program", "identity")
	traceID := trace.TraceID{1, 2, 3}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: trace.SpanID{4}}))
	ctx = request.WithID(ctx, "req-1")
	ctx = logging.With(ctx, slog.String("method", "/a.B/C"))
	ctx = logging.With(ctx, slog.String("caller", "gateway"))
	log.InfoContext(ctx, "hello")
	fields := line(t, &out)
	for name, want := range map[string]string{
		"request_id": "req-1", "trace_id": traceID.String(), "method": "/a.B/C", "caller": "gateway", "program": "identity", "msg": "hello",
	} {
		if fields[name] != want {
			t.Errorf("%s = %v, want %s", name, fields[name], want)
		}
	}
}

func TestContextsDoNotShareAttributes(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(logging.Config{}, &out)
	parent := logging.With(t.Context(), slog.Int("a", 1), slog.Int("b", 2), slog.Int("c", 3))
	left := logging.With(parent, slog.String("side", "left"))
	_ = logging.With(parent, slog.String("side", "right"))
	log.InfoContext(left, "x")
	if got := line(t, &out)["side"]; got != "left" {
		t.Errorf("side = %v", got)
	}
}

// R74: line breaks in input cannot forge a line.
func TestInputCannotForgeALine(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(logging.Config{}, &out)
	forged := "x\r\n{\"level\":\"INFO\",\"msg\":\"forged\"}\u2028\u0085"
	log.InfoContext(request.WithID(t.Context(), forged), forged, forged, forged, "error", forged)
	if n := strings.Count(strings.TrimSuffix(out.String(), "\n"), "\n"); n != 0 || strings.Contains(out.String(), "\r") {
		t.Errorf("%d line breaks inside of one record: %q", n, out.String())
	}
	line(t, &out)
}

// R74: planted secrets do not reach the log.
func TestSecretsAreReplaced(t *testing.T) {
	const canary = "canary-77aa"
	var out bytes.Buffer
	log := logging.New(logging.Config{Level: "debug"}, &out)
	log.Info("x", "password", canary, "Authorization", "Bearer "+canary, "new_password_hash", canary, "access_token", canary,
		slog.Group("request", "set-cookie", canary), "url", config.NewSecret(canary), "config", struct{ URL config.Secret }{config.NewSecret(canary)})
	log.With("client_secret", canary).Debug("y")
	if strings.Contains(out.String(), canary) {
		t.Errorf("a secret reached the log:\n%s", &out)
	}
}

func TestLevels(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1, "": 3} {
		var out bytes.Buffer
		log := logging.New(logging.Config{Level: level}, &out)
		log.Debug("m")
		log.Info("m")
		log.Warn("m")
		log.Error("m")
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("level %q logs %d lines, want %d", level, got, want)
		}
	}
}

// A logger that others derive from still adds what the context knows.
func TestDerivedLoggersCarryTheContext(t *testing.T) {
	var out bytes.Buffer
	if err := (logging.Config{}).Validate(); err != nil {
		t.Fatal(err)
	}
	log := logging.New(logging.Config{}, &out).With("program", "identity").WithGroup("work")
	log.InfoContext(request.WithID(t.Context(), "req-2"), "x", "n", 1)
	work, _ := line(t, &out)["work"].(map[string]any)
	if work["request_id"] != "req-2" || work["n"] != 1.0 {
		t.Errorf("the group has %v", work)
	}
}
