package cli

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
)

// A process may die, and say so, while `up` reports that everything is healthy.
func TestReportsFromSeveralSides(t *testing.T) {
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := &reporter{console: &Console{Out: &out}, pipe: write}
	received := make(chan string)
	go func() {
		text, _ := io.ReadAll(read) // as far as it came
		received <- string(text)
	}()
	var died sync.WaitGroup
	for range 4 {
		died.Go(func() {
			for range 50 {
				r.progress("%s ended", "auth")
			}
		})
	}
	r.ready()
	died.Wait()
	if got := strings.Count(out.String(), "auth ended\n"); got != 200 {
		t.Errorf("%d whole lines of 200 on the terminal", got)
	}
	if text := <-received; strings.Count(text, `{"ready":true}`+"\n") != 1 || !strings.HasSuffix(text, `{"ready":true}`+"\n") {
		t.Errorf("the other half got %q", text)
	}
	_ = read.Close()
}
