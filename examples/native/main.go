// Native is a command whose user signs in with Gatehouse, in the system's browser.
//
//	ISSUER=http://localhost:8080 CLIENT_ID=client-… go run ./native
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tokens, email, err := signIn(ctx, os.Getenv("ISSUER"), os.Getenv("CLIENT_ID"))
	if err != nil {
		log.Fatalln("not signed in:", err)
	}
	fmt.Println("signed in as", email)
	if api := os.Getenv("API_URL"); api != "" {
		if err := orders(ctx, api, tokens); err != nil {
			log.Fatalln("orders:", err)
		}
	}
}
