package user

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

func TestLocale(t *testing.T) {
	for locale, want := range map[string]bool{
		"": true, "de": true, "de-CH": true, "zh-Hant-TW": true, "gsw": true, "sr-Latn": true, "es-419": true, "DE-ch": true,
		"de_CH": false, "xx-YY": false, "de-": false, "-": false, "english": false, "de-CH-": false, "qqqqqqqqq": false, " de": false, "*": false,
	} {
		err := Changes{Locale: &locale}.Validate()
		wantValid(t, locale, err, want, "user.locale", "locale")
	}
}

func TestTimeZone(t *testing.T) {
	for zone, want := range map[string]bool{
		"": true, "UTC": true, "Europe/Zurich": true, "America/Argentina/Buenos_Aires": true, "Etc/GMT+5": true,
		"Local": false, "europe/zurich": false, "Europe/Atlantis": false, "../../etc/passwd": false, "/etc/localtime": false,
		"posix/Europe/Zurich": false, "localtime": false, "Europe//Zurich": false, "Europe/": false, "+01:00": false, "Europe/Zurich\x00": false,
	} {
		err := Changes{TimeZone: &zone}.Validate()
		wantValid(t, zone, err, want, "user.time_zone", "time_zone")
	}
}

func wantValid(t *testing.T, value string, err error, want bool, path, rule string) {
	t.Helper()
	if want {
		if err != nil {
			t.Errorf("%q: %v", value, err)
		}
		return
	}
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != apierr.InvalidArgument || len(e.Fields) != 1 || e.Fields[0].Path != path || e.Fields[0].Rule != rule {
		t.Errorf("%q: got %v, want a violation of %s by %s", value, err, path, rule)
	}
}

func TestValidateNamesEveryField(t *testing.T) {
	bad := "?"
	var e *apierr.Error
	if err := (Changes{Locale: &bad, TimeZone: &bad}).Validate(); !errors.As(err, &e) || len(e.Fields) != 2 {
		t.Fatalf("got %v, want two violations", err)
	}
}

func TestApply(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	old := User{ID: "u", DisplayName: "Ada", Locale: "en", TimeZone: "UTC", Revision: 3, CreateTime: at, UpdateTime: at}
	name, empty := "Ada L.", ""
	t.Run("sets only what is given", func(t *testing.T) {
		got := Changes{DisplayName: &name, TimeZone: &empty}.apply(old, at.Add(time.Hour))
		want := old
		want.DisplayName, want.TimeZone, want.Revision, want.UpdateTime = name, "", 4, at.Add(time.Hour)
		if got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if got.ETag() == old.ETag() {
			t.Fatal("the etag did not change")
		}
	})
	t.Run("same values change nothing", func(t *testing.T) {
		if got := (Changes{DisplayName: &old.DisplayName, Locale: &old.Locale}).apply(old, at.Add(time.Hour)); got != old {
			t.Fatalf("got %+v, want %+v", got, old)
		}
	})
	t.Run("update_time never stands still or goes back", func(t *testing.T) {
		for _, now := range []time.Time{at, at.Add(-time.Hour)} {
			if got := (Changes{DisplayName: &name}).apply(old, now); !got.UpdateTime.After(old.UpdateTime) {
				t.Fatalf("at %v update_time became %v after %v", now, got.UpdateTime, old.UpdateTime)
			}
		}
	})
}
