package pages

import (
	"crypto/rand"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// The cookie of a device with which somebody has signed in: failures of others do not delay it (R8).
// It proves nobody, and is worth nothing without the password.
const (
	deviceName   = "__Host-gatehouse-device"
	deviceLength = 26 // of rand.Text
	deviceAge    = 180 * 24 * time.Hour
)

// deviceOf is what the cookie of a browser's device holds, or something new for who has none.
func deviceOf(r *http.Request) string {
	cookies := r.CookiesNamed(deviceName)
	if len(cookies) != 1 || len(cookies[0].Value) != deviceLength {
		return rand.Text()
	}
	return cookies[0].Value
}

// deviceCookie is the value of the Set-Cookie header that hands it out.
func deviceCookie(device string) string {
	return deviceName + "=" + device + "; Max-Age=" + strconv.Itoa(int(deviceAge/time.Second)) + session.CookieAttributes
}
