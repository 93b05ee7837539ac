package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// inviting is a platform that mails, its administrator, and who looks into its database.
type inviting struct {
	accounts
	admin person
	inbox *inbox
	db    *pgx.Conn
}

// invitee is somebody who is invited, on the way to a login.
type invitee struct{ id, email, password string }

// newInviting starts a platform that is the package's until the test ends.
func newInviting(t *testing.T) inviting {
	t.Helper()
	box := newInbox(t)
	p := plat.Copy(filepath.Join(plat.Dir, "invitations"), 6000,
		"GATEHOUSE_MAIL_SMTP_URL=smtp://"+box.address, "GATEHOUSE_MAIL_FROM=no-reply@example.com")
	check.NoError(t, p.Up())
	shared := plat
	plat = p
	t.Cleanup(func() {
		plat = shared
		_ = p.Down()
	})
	a := accounts{t: t, p: p, secrets: map[string]string{}}
	db, err := p.Database(t.Context())
	check.NoError(t, err)
	return inviting{accounts: a, admin: a.administrator(), inbox: box, db: db}
}

// held is a transaction that keeps others from a step.
type held struct {
	t  *testing.T
	w  inviting
	tx pgx.Tx
	id uint32 // of its process
}

// holds begins a transaction that has a lock, so that whoever needs it waits.
func (w inviting) holds(t *testing.T, lock string, args ...any) *held {
	t.Helper()
	conn, err := w.p.Database(t.Context())
	check.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	check.NoError(t, err)
	h := &held{t: t, w: w, tx: tx, id: conn.PgConn().PID()}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	_, err = tx.Exec(t.Context(), lock, args...)
	check.NoError(t, err)
	return h
}

// waited waits until somebody waits for the lock.
func (h *held) waited() {
	h.t.Helper()
	h.w.is(h.t, "somebody waits for the lock", `select from pg_stat_activity where $1 = any(pg_blocking_pids(pid))`, h.id)
}

// cut ends what waits for the lock: PostgreSQL goes on with what a dead client has asked for, since
// it does not look at connections meanwhile.
func (h *held) cut() {
	h.t.Helper()
	check.Within(h.t, 20*time.Second, "nobody waits for the lock any more", func() error {
		tag, err := h.w.db.Exec(h.t.Context(), `select pg_terminate_backend(pid) from pg_stat_activity where $1 = any(pg_blocking_pids(pid))`, h.id)
		if err != nil || tag.RowsAffected() > 0 {
			return fmt.Errorf("%d wait, %w", tag.RowsAffected(), errOr(err))
		}
		return nil
	})
}

func (h *held) free() {
	h.t.Helper()
	check.NoError(h.t, h.tx.Rollback(h.t.Context()))
}

// is waits until a condition holds in the database.
func (w inviting) is(t *testing.T, what, condition string, args ...any) {
	t.Helper()
	check.Within(t, 60*time.Second, what, func() error {
		var holds bool
		if err := w.db.QueryRow(t.Context(), "select exists ("+condition+")", args...).Scan(&holds); err != nil || !holds {
			return fmt.Errorf("%t, %w", holds, errOr(err))
		}
		return nil
	})
}

// sends makes a request whose answer does not matter, since somebody is killed; over closes with
// it.
func (w inviting) sends(r request) (over chan struct{}) {
	over = make(chan struct{})
	go func() {
		defer close(over)
		_, _ = send(w.p.URL(), r)
	}()
	return over
}

func (w inviting) invitation(i invitee) request {
	return request{method: "POST", path: "/api/v1/invitations", bearer: w.admin.access,
		body: map[string]string{"organization_id": w.admin.organization, "email": i.email}}
}

// mailed invites somebody and waits for the code.
func (w inviting) mailed(t *testing.T, i *invitee) (accept request) {
	t.Helper()
	a := call(t, http.StatusCreated, w.invitation(*i))
	i.id, _ = a.body["id"].(string)
	return w.acceptance(t, *i)
}

// acceptance is that of the code in the only mail.
func (w inviting) acceptance(t *testing.T, i invitee) (accept request) {
	t.Helper()
	var code string
	check.Within(t, 60*time.Second, "the invitation is mailed once", func() (err error) {
		code, err = w.inbox.code(i.email)
		return err
	})
	return request{method: "POST", path: "/api/v1/auth/accept-invitation", body: map[string]string{"code": code, "password": i.password}}
}

// kills ends a program with SIGKILL before a step that is held can be made.
func (w inviting) kills(t *testing.T, program string, step *held) {
	t.Helper()
	killHard(t, serviceOf(t, program).PID)
	step.cut()
}

// heals waits until the platform answers again, some times in a row.
func (w inviting) heals(t *testing.T) {
	t.Helper()
	check.Within(t, 60*time.Second, "healed", func() error {
		for range 10 {
			for r, want := range map[*request]int{
				{method: "GET", path: "/api/v1/me/sessions", bearer: w.admin.access}:                                              http.StatusOK,
				{method: "POST", path: "/api/v1/authz/check", bearer: w.admin.access, body: administrates(w.admin)}:               http.StatusOK,
				{method: "POST", path: "/api/v1/invitations/" + w.admin.id + ":resend", bearer: w.admin.access, body: struct{}{}}: http.StatusBadRequest, // asks Auth and Authz
			} {
				if a, err := send(w.p.URL(), *r); err != nil || a.status != want {
					return fmt.Errorf("%s: %d %w %s", r.path, a.status, errOr(err), a.raw)
				}
			}
		}
		return nil
	})
}

// The steps of an invitation. Each leaves somebody behind whose invitation was cut there.
func invitationSteps() map[string]func(t *testing.T, w inviting, i *invitee) {
	return map[string]func(*testing.T, inviting, *invitee){
		"the user is stored, and Identity killed": func(t *testing.T, w inviting, i *invitee) { w.cutBeforeAuth(t, "identity", i) },
		"the user is stored, and Auth killed":     func(t *testing.T, w inviting, i *invitee) { w.cutBeforeAuth(t, "auth", i) },
		"Auth knows, and Identity is killed":      cutBeforeNoted,
		"the mail is queued, and Auth killed":     cutBeforeDelivery,
		"Authz is told, and killed": func(t *testing.T, w inviting, i *invitee) {
			w.cutRelationships(t, i, `lock table authz.commands in exclusive mode`)
		},
		"Authz has the relationships accepted, and is killed": func(t *testing.T, w inviting, i *invitee) {
			w.cutRelationships(t, i, `lock table authz_fga.tuple in share mode`)
			w.is(t, "a change is accepted", `select from authz.commands where state = 'accepted' or end_time > now() - interval '1 minute'`)
		},
		"the acceptance is stored, and Auth killed":            func(t *testing.T, w inviting, i *invitee) { w.cutAcceptance(t, "auth", i) },
		"the acceptance is stored, and Identity killed":        func(t *testing.T, w inviting, i *invitee) { w.cutAcceptance(t, "identity", i) },
		"Identity knows of it, and Auth is killed":             cutBeforeLogin,
		"the acceptance is told to Authz, and Authz killed":    func(t *testing.T, w inviting, i *invitee) { w.cutCounting(t, "authz", i) },
		"the acceptance is told to Authz, and Identity killed": func(t *testing.T, w inviting, i *invitee) { w.cutCounting(t, "identity", i) },
	}
}

// cutBeforeAuth kills a program while Identity has the user and Auth does not know.
func (w inviting) cutBeforeAuth(t *testing.T, victim string, i *invitee) {
	mails := w.holds(t, `lock table auth.mailed_codes in exclusive mode`)
	over := w.sends(w.invitation(*i))
	w.is(t, "the invitation is due", `select from identity.users where email = $1 and standing = 'invited' and invitation_due is not null`, i.email)
	mails.waited()
	w.kills(t, victim, mails)
	mails.free()
	<-over
}

// cutBeforeNoted kills Identity while Auth has the invitation and Identity does not know that.
func cutBeforeNoted(t *testing.T, w inviting, i *invitee) {
	mails := w.holds(t, `lock table auth.mailed_codes in exclusive mode`)
	over := w.sends(w.invitation(*i))
	w.is(t, "the user is stored", `select from identity.users where email = $1`, i.email)
	mails.waited()
	note := w.holds(t, `select from identity.users where email = $1 for update`, i.email)
	mails.free()
	w.is(t, "Auth knows", `select from auth.mailed_codes where email = $1`, i.email)
	note.waited()
	w.kills(t, "identity", note)
	w.is(t, "the invitation is still due", `select from identity.users where email = $1 and invitation_due is not null`, i.email)
	note.free()
	<-over
}

// cutBeforeDelivery kills Auth while a mail waits for a server that is away.
func cutBeforeDelivery(t *testing.T, w inviting, i *invitee) {
	w.inbox.leaves(true)
	call(t, http.StatusCreated, w.invitation(*i))
	w.is(t, "the mail waits", `select from auth.mails where kind = 'invitation' and reason <> ''`)
	killHard(t, serviceOf(t, "auth").PID)
	w.inbox.leaves(false)
}

// cutRelationships kills Authz while it cannot take what the lock keeps it from.
func (w inviting) cutRelationships(t *testing.T, i *invitee, lock string) {
	step := w.holds(t, lock)
	call(t, http.StatusCreated, w.invitation(*i))
	step.waited()
	w.kills(t, "authz", step)
	step.free()
}

// cutAcceptance kills a program while the login is reserved and Identity does not know.
func (w inviting) cutAcceptance(t *testing.T, victim string, i *invitee) {
	accept := w.mailed(t, i)
	row := w.holds(t, `select from identity.users where id = $1 for update`, i.id)
	over := w.sends(accept)
	row.waited()
	w.is(t, "the login is reserved", `select from auth.logins where user_id = $1 and state = 'pending' and invited`, i.id)
	w.kills(t, victim, row)
	w.is(t, "Identity does not know", `select from identity.users where id = $1 and standing = 'invited'`, i.id)
	row.free()
	<-over
}

// cutBeforeLogin kills Auth while the user is active and the login is not.
func cutBeforeLogin(t *testing.T, w inviting, i *invitee) {
	accept := w.mailed(t, i)
	row := w.holds(t, `select from identity.users where id = $1 for update`, i.id)
	over := w.sends(accept)
	row.waited()
	login := w.holds(t, `select from auth.logins where user_id = $1 for update`, i.id)
	row.free()
	w.is(t, "the user is active", `select from identity.users where id = $1 and standing = 'active'`, i.id)
	login.waited()
	w.kills(t, "auth", login)
	w.is(t, "the login is pending", `select from auth.logins where user_id = $1 and state = 'pending'`, i.id)
	login.free()
	<-over
}

// cutCounting kills a program while Authz does not know of an acceptance yet.
func (w inviting) cutCounting(t *testing.T, victim string, i *invitee) {
	accept := w.mailed(t, i)
	w.is(t, "Authz knows of the invitation", `select from authz.suspensions where subject = 'user:' || $1::text and reserve_time = 'infinity'`, i.id)
	step := w.holds(t, `lock table authz.suspensions in exclusive mode`)
	call(t, http.StatusNoContent, accept)
	step.waited()
	w.kills(t, victim, step)
	w.is(t, "Authz is to be told", `select from identity.standings where user_id = $1 and invitation and not suspended`, i.id)
	step.free()
}

// in is the same for a part of the test.
func (w inviting) in(t *testing.T) inviting {
	w.t = t
	return w
}

// An invitation makes one login, of who counts as the last administrator from the acceptance on,
// whatever is killed with SIGKILL at whichever step: it is mailed once, and completed once it was
// accepted.
func TestInvitations(t *testing.T) {
	w := newInviting(t)
	t.Run("accepted by many at once", func(t *testing.T) { w.in(t).acceptedByMany(t) })
	t.Run("counts once accepted", func(t *testing.T) { w.in(t).counts(t) })
	left := map[string]*invitee{}
	for step, cut := range invitationSteps() {
		left[step] = &invitee{email: newEmail(), password: w.password()}
		t.Run(step, func(t *testing.T) {
			w := w.in(t)
			cut(t, w, left[step])
			w.heals(t)
		})
	}
	for step, i := range left {
		t.Run("completed: "+step, func(t *testing.T) { w.in(t).completed(t, *i) })
	}
}

// completed sees that an invitation that was cut leads to a login.
func (w inviting) completed(t *testing.T, i invitee) {
	accept := w.acceptance(t, i)
	check.Within(t, 60*time.Second, "accepted and signed in", func() error {
		if i.id == "" { // it was cut before anybody could accept
			if a, err := send(w.p.URL(), accept); err != nil || a.status != http.StatusNoContent && a.status != http.StatusUnauthorized {
				return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
			}
		}
		a, err := send(w.p.URL(), request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": i.email, "password": i.password}})
		if err != nil || a.status != http.StatusOK {
			return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
		}
		return nil
	})
	w.joined(t, i)
}

// joined sees that somebody is an active member with one login, and got no second mail.
func (w inviting) joined(t *testing.T, i invitee) {
	t.Helper()
	p := w.signsIn(i.email, i.password)
	if p.organization != w.admin.organization {
		t.Errorf("in organization %s, want %s", p.organization, w.admin.organization)
	}
	w.member(t, p.id)
	a := call(t, http.StatusOK, request{method: "GET", path: p.path(), bearer: w.admin.access})
	if a.body["state"] != "STATE_ACTIVE" || a.body["email_verified"] != true {
		t.Errorf("the user is %s", a.raw)
	}
	var users, logins, codes int
	check.NoError(t, w.db.QueryRow(t.Context(), `
		select (select count(*) from identity.users where email = $1), (select count(*) from auth.logins where email = $1),
		       (select count(*) from auth.mailed_codes where email = $1)`, i.email).Scan(&users, &logins, &codes))
	if users != 1 || logins != 1 || codes != 0 {
		t.Errorf("%d users, %d logins and %d codes", users, logins, codes)
	}
	if _, err := w.inbox.code(i.email); err != nil {
		t.Error(err)
	}
	w.is(t, "who has accepted counts", `select from authz.suspensions where subject = 'user:' || $1::text and returned`, p.id)
	w.is(t, "nothing is to be told", `select where not exists (select from identity.standings where user_id = $1)`, p.id)
}

// member waits until Authz knows of somebody.
func (w inviting) member(t *testing.T, id string) {
	t.Helper()
	check.Within(t, 60*time.Second, "a member", func() error {
		a, err := send(w.p.URL(), request{method: "POST", path: "/api/v1/authz/check", bearer: w.admin.access,
			body: relationship{"organization:" + w.admin.organization, "member", "user:" + id}})
		if err != nil || a.body["allowed"] != true {
			return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
		}
		return nil
	})
}

// counts sees that an administrator who is invited is nobody's successor before accepting (R89).
func (w inviting) counts(t *testing.T) {
	i := invitee{email: newEmail(), password: w.password()}
	accept := w.mailed(t, &i)
	invited := person{id: i.id}
	_, err := relate(w.admin, "writes", administrates(invited))
	check.NoError(t, err)
	w.member(t, i.id)
	keeps(t, "LAST_ADMINISTRATOR", unrelate(w.admin, administrates(w.admin)))
	call(t, http.StatusNoContent, accept)
	p := w.signsIn(i.email, i.password)
	check.Within(t, 60*time.Second, "who has accepted is left", func() error {
		_, err := relate(w.admin, "deletes", administrates(w.admin))
		return err
	})
	_, err = relate(p, "writes", administrates(w.admin))
	check.NoError(t, err)
	_, err = relate(p, "deletes", administrates(p))
	check.NoError(t, err)
}

// acceptedByMany sees that many who accept one invitation at the same moment, each with a password
// of their own, make one login, of one of them.
func (w inviting) acceptedByMany(t *testing.T) {
	for range 3 {
		i := invitee{email: newEmail()}
		accept := w.mailed(t, &i)
		code := accept.body.(map[string]string)["code"]
		statuses := make([]int, 10)
		var wait sync.WaitGroup
		for n := range statuses {
			wait.Go(func() {
				r := accept
				r.body = map[string]string{"code": code, "password": fmt.Sprintf("%s number %d", password, n)}
				a, err := send(w.p.URL(), r)
				if err != nil {
					t.Error(err)
				}
				statuses[n] = a.status
			})
		}
		wait.Wait()
		accepted := 0
		for n, status := range statuses {
			pw := fmt.Sprintf("%s number %d", password, n)
			switch status {
			case http.StatusNoContent:
				accepted, i.password = accepted+1, pw
			case http.StatusUnauthorized:
				w.post(http.StatusUnauthorized, "/api/v1/auth/sign-in", map[string]string{"email": i.email, "password": pw})
			default:
				t.Errorf("number %d is answered %d", n, status)
			}
		}
		if accepted != 1 {
			t.Fatalf("%d were accepted: %v", accepted, statuses)
		}
		w.joined(t, i)
	}
}
