package user

import (
	"regexp"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Changes are the new values of an update; a nil field stays as it is.
type Changes struct {
	DisplayName *string
	Locale      *string
	TimeZone    *string
}

// What is right, for people.
const (
	localeRule   = `must be a BCP 47 language tag such as "de-CH", or empty`
	timeZoneRule = `must be an IANA time zone name such as "Europe/Zurich", or empty`
)

// Validate checks the rules that the contract's field rules cannot say. It names every violated field.
func (c Changes) Validate() error {
	invalid := apierr.InvalidArgumentError()
	broken := false
	if c.Locale != nil && !validLocale(*c.Locale) {
		invalid, broken = invalid.WithField("user.locale", "locale", localeRule), true
	}
	if c.TimeZone != nil && !validTimeZone(*c.TimeZone) {
		invalid, broken = invalid.WithField("user.time_zone", "time_zone", timeZoneRule), true
	}
	if broken {
		return invalid
	}
	return nil
}

// apply returns u with the changes, as a new revision if anything differs.
func (c Changes) apply(u User, now time.Time) User {
	next := u
	set(&next.DisplayName, c.DisplayName)
	set(&next.Locale, c.Locale)
	set(&next.TimeZone, c.TimeZone)
	if next == u {
		return u
	}
	return next.revised(now)
}

// revised returns the user as its next revision.
func (u User) revised(now time.Time) User {
	if !now.After(u.UpdateTime) { // the clock of another instance may be ahead
		now = u.UpdateTime.Add(time.Microsecond)
	}
	u.Revision, u.UpdateTime = u.Revision+1, now
	return u
}

func set(field, value *string) {
	if value != nil {
		*field = *value
	}
}

// validLocale accepts well-formed tags of registered subtags. The language package also reads "de_CH", which BCP 47 does not.
func validLocale(s string) bool {
	if s == "" {
		return true
	}
	if strings.Contains(s, "_") {
		return false
	}
	_, err := language.Parse(s)
	return err == nil
}

var zoneName = regexp.MustCompile(`^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$`)

// validTimeZone accepts the names of the time zone database. time.LoadLocation also knows "Local", which would mean this server's
// zone, and reads files such as "posix/Europe/Zurich" or "localtime" where the operating system has them.
func validTimeZone(s string) bool {
	if s == "" {
		return true
	}
	if s == "Local" || !zoneName.MatchString(s) {
		return false
	}
	_, err := time.LoadLocation(s)
	return err == nil
}
