package cluster_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"
	"golang.org/x/oauth2"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

// oldest is how old a code gets that waits for the end of the roll: it is good for a minute.
const oldest = 50 * time.Second

// signIns are people who sign in at an application while Auth is rolled.
type signIns struct {
	*application

	c     *cluster
	begun time.Time
	who   *person
	count int

	// What is there before.
	early   *visitor.Visitor
	open    grant // whose page early has open
	page    visitor.Page
	kept    *oauth2.Token // refreshed again and again
	used    grant
	usedFor *oauth2.Token
	codes   []grant // that wait for the end of the roll
}

func (c *cluster) signIns(t *testing.T, l *load) *signIns {
	t.Helper()
	r := c.register(t, c.administrator(t, l), "A shop", "--redirect", callback, "--post-logout", bye)
	s := &signIns{application: c.application(t, r, "email", "roles", "offline_access"), c: c, who: l.signUp(t)}
	s.early, s.open = c.visitor(t), s.request()
	s.page = s.early.Open(s.open.link)
	v := c.visitor(t)
	s.used = s.signIn(t, v, s.who)
	s.usedFor = s.redeem(t, s.used, s.who)
	s.kept = s.redeem(t, s.again(t, v), s.who)
	s.codes = []grant{s.again(t, v)}
	s.begun = time.Now()
	return s
}

// again has a visitor who is signed in come back with a code.
func (s *signIns) again(t *testing.T, v *visitor.Visitor) grant {
	t.Helper()
	g := s.request()
	return s.answered(t, g, v.Open(g.link))
}

// until has people sign in until a version of Auth has taken the place of the one of before.
func (s *signIns) until(t *testing.T, version uint64, instances int) {
	t.Helper()
	client := s.c.nomad(t)
	check.Within(t, 5*time.Minute, "Auth is rolled", func() error {
		s.one(t)
		d := deployment(t, client, "auth", version)
		if d == nil || d.Status == nomad.DeploymentStatusRunning || d.Status == nomad.DeploymentStatusPending {
			return errors.New("the deployment is under way")
		}
		if running := s.c.allocations(t, client, "auth"); len(running) != instances {
			return fmt.Errorf("%d instances run", len(running))
		}
		return nil
	})
}

// one has somebody sign in and out, and refreshes what is kept.
func (s *signIns) one(t *testing.T) {
	t.Helper()
	v := s.c.visitor(t)
	tokens := s.redeem(t, s.signIn(t, v, s.who), s.who)
	s.codes = append(s.codes, s.again(t, v))
	for len(s.codes) > 0 && time.Since(s.codes[0].at) > oldest {
		s.redeem(t, s.codes[0], s.who)
		s.codes = s.codes[1:]
	}
	var err error
	if s.kept, err = s.refresh(s.kept); err != nil {
		t.Fatalf("refresh: %v", err)
	}
	if !s.post(t, s.further.Introspection, tokens.AccessToken).Active {
		t.Fatal("a new access token is not active")
	}
	s.count++
}

// complete uses what is there from before the roll, and ends it in each way that there is.
func (s *signIns) complete(t *testing.T) {
	t.Helper()
	oldest := time.Since(s.codes[0].at)
	for _, g := range s.codes {
		s.redeem(t, g, s.who)
	}
	t.Logf("%d people signed in during a roll of %s; %d codes waited for its end, one for %s",
		s.count, time.Since(s.begun).Round(time.Second), len(s.codes), oldest.Round(time.Second))
	tokens := s.redeem(t, s.answered(t, s.open, s.early.SignIn(s.page, s.who.email, password)), s.who)
	s.replayed(t)
	s.post(t, s.further.Revocation, s.kept.RefreshToken)
	if _, err := s.refresh(s.kept); err == nil || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("a revoked refresh token: %v", err)
	}
	if page := s.early.Open(s.signOut(tokens)); page.At.Path != "/bye" || page.At.Query().Get("state") != "gone" {
		t.Errorf("sent to %s\n%s", page.At, page.Text)
	}
	if page := s.early.Open(s.request().link); page.At.Path != "/sign-in" {
		t.Errorf("signed in still: %s", page.At)
	}
	check.Within(t, 10*time.Second, "its access token is refused", func() error {
		if s.post(t, s.further.Introspection, tokens.AccessToken).Active {
			return errors.New("it is active")
		}
		return nil
	})
}

// replayed brings a code of before the roll a second time, which ends what it was good for.
func (s *signIns) replayed(t *testing.T) {
	t.Helper()
	var refused *oauth2.RetrieveError
	_, err := s.config.Exchange(s, s.used.code, oauth2.VerifierOption(s.used.verifier))
	if !errors.As(err, &refused) || refused.Response.StatusCode != http.StatusBadRequest || refused.ErrorCode != "invalid_grant" {
		t.Errorf("a code for the second time: %v", err)
	}
	if _, err := s.refresh(s.usedFor); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		t.Errorf("the refresh token of a code that was used twice: %v", err)
	}
}
