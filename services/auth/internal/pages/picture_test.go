package pages_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/boombuler/barcode/qr"
)

// The picture on the page is the QR code of the link beside it, module by module, with the margin
// that readers need.
func TestPictureIsTheLink(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	b := w.browser()
	b.signIn(t, email)
	a := b.get(t, "/account/authenticator")
	a.says(t, http.StatusOK, `role="img"`, `aria-label="QR code`)
	link := strings.ReplaceAll(regexp.MustCompile(`href="(otpauth:[^"]+)"`).FindStringSubmatch(a.page)[1], "&amp;", "&")
	want, err := qr.Encode(link, qr.M, qr.Auto)
	if err != nil {
		t.Fatal(err)
	}
	size := want.Bounds().Dx()
	box := strconv.Itoa(size + 8)
	if !strings.Contains(a.page, `viewBox="0 0 `+box+" "+box+`"`) {
		t.Errorf("it is not %s modules wide:\n%s", box, a.page)
	}
	drawn := map[[2]int]bool{}
	for _, run := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(a.page, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(run[1+i])
		}
		for x := range n[2] {
			drawn[[2]int{n[0] + x, n[1]}] = true
		}
	}
	for y := range size {
		for x := range size {
			if r, _, _, _ := want.At(x, y).RGBA(); (r == 0) != drawn[[2]int{x + 4, y + 4}] {
				t.Fatalf("at %d, %d it is another one", x, y)
			}
		}
	}
	if len(drawn) < size*size/3 {
		t.Errorf("%d of %d modules are dark", len(drawn), size*size)
	}
}
