// Server is a web application with a server of its own, which people sign in to with Gatehouse.
//
//	ISSUER=http://localhost:8080 CLIENT_ID=client-… CLIENT_SECRET=… go run ./server
package main

import (
	"cmp"
	"context"
	"log"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	here, err := url.Parse(cmp.Or(os.Getenv("APP_URL"), "http://localhost:3000")) // where browsers find it
	if err != nil {
		log.Fatal(err)
	}
	a, err := newApp(ctx, os.Getenv("ISSUER"), os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"), here.String())
	if err != nil {
		log.Fatal(err)
	}
	a.api = os.Getenv("API_URL")
	server := &http.Server{Addr: cmp.Or(os.Getenv("LISTEN"), here.Host), Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	log.Println("open", here)
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		log.Fatal(err)
	}
}
