package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the server. A log sends a request a second, an auditor looks now and then.
const (
	maxConnections = 256
	slowest        = 10 * time.Second
)

// Handler answers POST /add-checkpoint and GET /<hash of the origin>/checkpoint.
func (w *Witness) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /add-checkpoint", w.serveAdd)
	mux.HandleFunc("GET /{origin}/checkpoint", w.serveLatest)
	return mux
}

func (w *Witness) serveAdd(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequest))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		w.refuse(rw, r, refuse(http.StatusRequestEntityTooLarge, "a request has at most %d bytes", maxRequest))
		return
	case err != nil:
		return // whoever asked is gone
	}
	asked, err := parseRequest(body)
	if err != nil {
		w.refuse(rw, r, refuse(http.StatusBadRequest, "%v", err))
		return
	}
	c, err := w.add(asked)
	if err != nil {
		w.refuse(rw, r, err)
		return
	}
	origin, _ := originOf(asked.note) // it was cosigned
	w.log.LogAttrs(r.Context(), slog.LevelInfo, "cosigned", slog.String("origin", origin), slog.Int64("old_size", asked.old), slog.Time("time", c.Time))
	header(rw, "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(rw, "%s\n", c.Line)
}

// refuse answers with the status of a refusal; anything else is this machine's own trouble.
func (w *Witness) refuse(rw http.ResponseWriter, r *http.Request, err error) {
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		w.log.ErrorContext(r.Context(), "could not cosign", "error", err)
		refusal = refuse(http.StatusInternalServerError, "the witness cannot store what it would cosign")
	}
	if refusal.Status == http.StatusConflict {
		header(rw, "text/x.tlog.size")
		rw.WriteHeader(refusal.Status)
		_, _ = fmt.Fprintf(rw, "%d\n", refusal.Known)
		return
	}
	attrs := []slog.Attr{slog.Int("status", refusal.Status), slog.String("reason", refusal.Text)}
	level := slog.LevelInfo
	if refusal.fork != nil { // nobody but the log can have signed both
		level, attrs = slog.LevelError, append(attrs, slog.String("checkpoint", string(refusal.fork[0])), slog.String("cosigned", string(refusal.fork[1])))
	}
	w.log.LogAttrs(r.Context(), level, "refused", attrs...)
	header(rw, "text/plain; charset=utf-8")
	rw.WriteHeader(refusal.Status)
	_, _ = fmt.Fprintln(rw, refusal.Text)
}

func (w *Witness) serveLatest(rw http.ResponseWriter, r *http.Request) {
	text := w.latest(r.PathValue("origin"))
	if text == nil {
		http.NotFound(rw, r)
		return
	}
	header(rw, "text/plain; charset=utf-8")
	_, _ = rw.Write(text)
}

func header(rw http.ResponseWriter, kind string) {
	rw.Header().Set("Content-Type", kind)
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Header().Set("Cache-Control", "no-store")
}

// Serve answers on the listener until ctx ends, and completes what it has begun.
func (w *Witness) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: w.Handler(), ReadHeaderTimeout: slowest, ReadTimeout: slowest, WriteTimeout: slowest, IdleTimeout: slowest, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(w.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), slowest)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		return server.Close()
	}
	return nil
}

// originOf is the first line of a checkpoint.
func originOf(text []byte) (string, error) {
	line, _, ok := bytes.Cut(text, []byte("\n"))
	if !ok || len(line) == 0 {
		return "", errRequest
	}
	return string(line), nil
}
