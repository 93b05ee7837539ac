package pages

import (
	"fmt"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quiet is the margin of a QR code in modules (ISO/IEC 18004, section 5.3.8).
const quiet = 4

// picture is a QR code as the page draws it: an SVG in the page itself, for which its policy needs
// to allow nothing.
type picture struct {
	Size int    // in modules, with the margin
	Path string // of what is dark
}

// draw makes a picture of a text.
func draw(text string) (picture, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return picture{}, fmt.Errorf("make a QR code: %w", err)
	}
	size := code.Bounds().Dx()
	dark := func(x, y int) bool {
		if x >= size {
			return false
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	var path strings.Builder
	for y := range size {
		for x := 0; x < size; x++ {
			from := x
			for dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", from+quiet, y+quiet, x-from, x-from)
			}
		}
	}
	return picture{Size: size + 2*quiet, Path: path.String()}, nil
}
