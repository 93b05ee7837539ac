package mail_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

func desk(t *testing.T) *mail.Desk {
	t.Helper()
	d, err := mail.NewDesk("https://gate.example/", sealer(t, 1), func() time.Time { return begun }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What people read, in each language.
func TestLetters(t *testing.T) {
	for _, kind := range []mail.Kind{
		mail.PasswordChanged, mail.SignUp, mail.SignUpTaken, mail.VerifyEmail, mail.Test, mail.ResetPassword, mail.Invitation, mail.InvitationTaken, mail.PasswordReset, mail.ChangeEmail, mail.ChangeEmailTaken, mail.EmailChanged,
		mail.SecondFactorEnrolled, mail.SecondFactorRemoved, mail.RecoveryCodeUsed, mail.RecoveryCodesReplaced, mail.SessionsEnded, mail.Suspended, mail.Restored,
	} {
		for _, language := range []string{"en", "de"} {
			t.Run(string(kind)+" "+language, func(t *testing.T) {
				l, err := desk(t).Write(kind, to, language, begun)
				if err != nil {
					t.Fatal(err)
				}
				if l.Language != language || l.To != to {
					t.Errorf("a letter in %s to %s", l.Language, l.To)
				}
				golden.Check(t, string(kind)+"."+language+".txt", "Subject: "+l.Subject+"\n\n"+l.Text)
				golden.Check(t, string(kind)+"."+language+".html", l.HTML)
			})
		}
	}
}

func TestLettersAreInTheLanguageThatSuits(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "de-AT, en;q=0.5": "de", "fr, de;q=0.1": "de", "fr": "en", "en-GB, de;q=0.9": "en", "not a language!": "en", ",,;q=": "en",
	} {
		l, err := desk(t).Write(mail.PasswordChanged, to, accept, begun)
		if err != nil || l.Language != want {
			t.Errorf("%q: %s, %v; want %s", accept, l.Language, err, want)
		}
	}
}

// Of whoever names no language of mails none is known.
func TestLanguagesThatAreKept(t *testing.T) {
	for accept, want := range map[string]string{
		"": "", "de-AT, en;q=0.5": "de", "fr, de;q=0.1": "de", "fr": "", "en-GB, de;q=0.9": "en", "not a language!": "", ",,;q=": "", "*": "",
	} {
		if got := mail.Language(accept); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
}

// A line break in an address becomes no header, and markup no markup.
func TestLettersAreNotWrittenByWhoGetsThem(t *testing.T) {
	for _, broken := range []string{"ada@example.com\r\nBcc: eve@example.com", "ada@example.com\nX: 1", "ada\x00@example.com"} {
		if l, err := desk(t).Write(mail.PasswordChanged, broken, "", begun); err == nil {
			t.Errorf("%q: %+v", broken, l)
		}
		if q := desk(t).PasswordChanged(t.Context(), broken, ""); q != nil {
			t.Errorf("%q is queued", broken)
		}
	}
	l, err := desk(t).Write(mail.PasswordChanged, "<b>@example.com", "", begun)
	if err != nil || strings.Contains(l.HTML, "<b>") || !strings.Contains(l.HTML, "&lt;b&gt;") || !strings.Contains(l.Text, "<b>") {
		t.Errorf("%v\n%s\n%s", err, l.HTML, l.Text)
	}
}

// Without mail nothing is written.
func TestNobodyWritesWithoutADesk(t *testing.T) {
	if q := (*mail.Desk)(nil).PasswordChanged(t.Context(), to, ""); q != nil {
		t.Errorf("queued %+v", q)
	}
}
