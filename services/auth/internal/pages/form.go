package pages

import (
	"errors"
	"mime"
	"net/http"
	"strconv"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/web"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// form is a handler of forms. It takes only what a page of ours has sent: a browser that says
// Sec-Fetch-Site says so there, another one by the Origin, and who says neither is refused (R25).
// That holds without a session too: nobody is signed in to an account of somebody else's choice
// (login CSRF).
func (p *Pages) form(handle http.HandlerFunc) http.Handler {
	protection := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Origin") != ""
		if err := protection.Check(r); err != nil || !said {
			p.refuse(w, r, http.StatusForbidden, "error.cross_site", apierr.PermissionDeniedError().Because(err))
			return
		}
		kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err == nil && kind == web.FormType {
			r.Body = http.MaxBytesReader(w, r.Body, web.MaxForm)
			err = r.ParseForm()
		} else {
			err = errNoForm
		}
		if err != nil {
			p.refuse(w, r, http.StatusBadRequest, "error.bad_form", apierr.InvalidArgumentError().Because(err))
			return
		}
		handle(w, r)
	})
}

var errNoForm = errors.New("the body is no form")

// show writes a page.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, t tongue, shown page) {
	if shown.Status == 0 {
		shown.Status = http.StatusOK
	}
	if err := p.looks.write(w, t, shown); err != nil {
		web.Fail(r.Context(), err)
	}
}

// see sends the browser on after a form: with 303, so that it asks for what is there with GET and a
// reload sends nothing again (R34).
func see(w http.ResponseWriter, path string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}

// refuse answers with the page of an error, whose text is that of a key.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, status int, key string, why error) {
	web.Refuse(r.Context(), why)
	t := p.looks.speaks(r)
	p.show(w, r, t, page{
		Name: "message", Status: status, Title: t.say("error.heading"), Problem: t.say(key), Reference: request.ID(r.Context()), Other: signInPath,
	})
}

// badReturn answers to a return_to that leads nowhere (R29), or that could not be judged.
func (p *Pages) badReturn(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errBadReturn) {
		p.refuse(w, r, http.StatusBadRequest, "error.bad_link", apierr.InvalidArgumentError().Because(err))
		return
	}
	p.Failed(w, r, err)
}

// Failed tells a person that something went wrong here, and when to try again.
func (p *Pages) Failed(w http.ResponseWriter, r *http.Request, err error) {
	e := apierr.From(err)
	var key string
	switch e.Kind {
	case apierr.Unavailable, apierr.ResourceExhausted, apierr.DeadlineExceeded, apierr.Canceled:
		key = "error.unavailable"
	default:
		key = "error.internal"
	}
	comeBack(w, e)
	p.refuse(w, r, e.Status(), key, err)
}

// comeBack says when to try again.
func comeBack(w http.ResponseWriter, e *apierr.Error) {
	if seconds := int(e.RetryAfter.Seconds()); seconds > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
}

// refused makes a form the response to what was refused, and can be mended on it.
func refused(w http.ResponseWriter, r *http.Request, form page, why error) page {
	e := apierr.From(why)
	web.Refuse(r.Context(), why)
	comeBack(w, e)
	form.Status = e.Status()
	return form
}

// browserOf finds the browser session of a request, or session.ErrNotFound.
func (p *Pages) browserOf(r *http.Request) (session.Browser, error) {
	return p.Browsers.Find(r.Context(), cookieOf(r))
}

// cookieOf is what the browser showed; "" when nothing, or more than one thing.
func cookieOf(r *http.Request) string {
	cookies := r.CookiesNamed(session.CookieName)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}
