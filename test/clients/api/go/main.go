// Client of the platform's API, made of nothing but the generated code. It ends with 0 when
// everything was as the document says.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
)

func main() {
	if err := run(context.Background(), os.Getenv("GATEHOUSE_URL"), os.Getenv("GATEHOUSE_EMAIL"), os.Getenv("GATEHOUSE_PASSWORD")); err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed in, listed, watched and was refused as the document says")
}
