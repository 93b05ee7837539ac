package site_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// theirs is what the service of somebody else answers.
const theirs = "the postgres of somebody else"

// role is what this program is as a task of a job: it reports false where it is the test.
func role() bool {
	if address := os.Getenv("SITE_ANSWER"); address != "" {
		fmt.Println(http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, theirs) })))
		return true
	}
	if urls := os.Getenv("SITE_ASK"); urls != "" {
		for range time.Tick(time.Second) {
			for url := range strings.FieldsSeq(urls) {
				fmt.Printf("%s %s\n", url, ask(url))
			}
		}
	}
	return false
}

func ask(url string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s %q %v", response.StatusCode, response.Header.Get("Grpc-Message"), body, err)
}
