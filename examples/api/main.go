// Api is an API of your own that takes the access tokens of Gatehouse.
//
//	ISSUER=http://localhost:8080 AUDIENCE=https://orders.example.com go run ./api
package main

import (
	"cmp"
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a, err := newAPI(ctx, os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), "localhost:3001"), Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Println("the API listens on", server.Addr)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
