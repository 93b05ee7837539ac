package cluster_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// write is one change that a writer has asked for. When there was no answer it has no request id.
type write struct {
	name, request string
	acknowledged  bool
}

// rename asks for another display name.
func (p *person) rename(l *load) (w write, status int, body string) {
	name := rand.Text()
	status, body, header := l.send(http.MethodPatch, "/api/v1/users/"+p.id, *p.access.Load(), fmt.Sprintf(`{"display_name": %q}`, name))
	return write{name, header.Get("X-Request-Id"), status == http.StatusOK}, status, body
}

// effects wants of each writer: what was acknowledged is in the trail once, nothing is there twice or
// unasked, and the name is the last that was acknowledged or one that was asked for after it, with
// its event in the trail.
func (l *load) effects(t *testing.T) {
	t.Helper()
	for _, p := range l.people[readers:] {
		check.Within(t, time.Minute, "what "+p.id+" did is in the trail", func() error {
			access, err := p.anew(l)
			if err != nil {
				return err
			}
			seen, err := l.changes(p, access)
			if err != nil {
				return err
			}
			_, body := l.ask(http.MethodGet, "/api/v1/users/"+p.id, access, "")
			return p.judge(seen, field(body, "display_name"))
		})
	}
}

// anew signs in once more: the token of the load may be at its end.
func (p *person) anew(l *load) (access string, err error) {
	status, body := l.ask(http.MethodPost, "/api/v1/auth/sign-in", "", fmt.Sprintf(`{"email": %q, "password": %q}`, p.email, password))
	if status != http.StatusOK {
		return "", fmt.Errorf("sign in: %d %s", status, body)
	}
	return field(body, "access_token"), nil
}

// changes are the changes of a person that the trail has: how often each request made one.
func (l *load) changes(p *person, access string) (map[string]int, error) {
	seen := map[string]int{}
	query := url.Values{"actor_id": {p.id}, "action": {"user.updated"}, "page_size": {"200"}}
	for {
		status, body := l.ask(http.MethodGet, "/api/v1/audit/events?"+query.Encode(), access, "")
		var page struct {
			Events []struct {
				RequestID string `json:"request_id"`
			}
			NextPageToken string `json:"next_page_token"`
		}
		if err := json.Unmarshal([]byte(body), &page); err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("list the trail: %d %s: %w", status, body, err)
		}
		for _, e := range page.Events {
			seen[e.RequestID]++
		}
		if page.NextPageToken == "" {
			return seen, nil
		}
		query.Set("page_token", page.NextPageToken)
	}
}

// judge compares what was asked for with what the trail has seen and with the name there is.
func (p *person) judge(seen map[string]int, name string) error {
	unanswered, named := 0, len(p.writes) == 0
	may := true // the last that was acknowledged has not been met: this one may be the name
	for i := len(p.writes) - 1; i >= 0; i-- {
		w := p.writes[i]
		switch n := seen[w.request]; {
		case w.request == "":
			unanswered++
		case n > 1:
			return fmt.Errorf("request %s has changed it %d times", w.request, n)
		case w.acknowledged && n == 0:
			return fmt.Errorf("request %s was acknowledged and is not in the trail", w.request)
		}
		if may && w.name == name {
			if named = w.request == "" || seen[w.request] == 1; !named {
				return fmt.Errorf("the name is that of request %s, which the trail has not", w.request)
			}
		}
		may = may && !w.acknowledged
		delete(seen, w.request)
	}
	if may && name == "none" {
		named = true
	}
	if !named {
		return fmt.Errorf("the name is %q: not the last that was acknowledged, nor one of those after it", name)
	}
	if len(seen) > unanswered {
		return fmt.Errorf("the trail has changes that nobody asked for: %v", seen)
	}
	return nil
}
