package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/language"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed templates/style.css
var style string

// names are the templates of pages, beside their layout.
func names() []string {
	return []string{
		"sign_in", "signed_in", "sign_up", "sign_out", "message", "account", "verify_email", "recover", "reset_password", "confirm_email",
		"authenticator", "recovery_codes", "code", "accept_invitation", "unproven",
	}
}

// looks is how pages are written: templates in each language, and the one style that all have.
type looks struct {
	matcher language.Matcher
	tongues []tongue // as languages
	style   string   // its hash, as a source of the Content-Security-Policy
}

// tongue is one language.
type tongue struct {
	catalog

	tag   language.Tag
	pages map[string]*template.Template
}

func newLooks() (*looks, error) {
	hash := sha256.Sum256([]byte(style))
	l := &looks{
		matcher: language.NewMatcher(languages()),
		style:   "'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'",
	}
	for _, tag := range languages() {
		c, err := readCatalog(tag)
		if err != nil {
			return nil, err
		}
		t := tongue{catalog: c, tag: tag, pages: map[string]*template.Template{}}
		known := template.FuncMap{
			"t":     c.text,
			"lang":  tag.String,
			"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // a file of this package
		}
		for _, name := range names() {
			t.pages[name], err = template.New(name).Funcs(known).ParseFS(templates, "templates/layout.html", "templates/"+name+".html")
			if err != nil {
				return nil, fmt.Errorf("read the page %s: %w", name, err)
			}
		}
		l.tongues = append(l.tongues, t)
	}
	return l, nil
}

// speaks returns the language that suits a browser best.
func (l *looks) speaks(r *http.Request) tongue {
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return l.tongues[0]
	}
	_, i, _ := l.matcher.Match(wanted...)
	return l.tongues[i]
}

// page is what one response shows.
type page struct {
	Name    string // of its template
	Status  int
	Actions []string // sources, beside this host, to which the answer to a form of the page may lead

	Title     string
	Who       string // address of whoever is signed in; "" for nobody
	Client    string // name of the application that sent the person here
	ReturnTo  string // goes along with a form
	Code      string // likewise: of a mail
	Next      string // where "continue" leads
	Other     string // where the page's link to its sister leads
	SignUp    bool   // people may sign up
	Recover   bool   // people may ask for another password
	Unproven  bool   // the address can be proven, and was not
	Notice    string // what was done
	Problem   string // what went wrong with the whole
	Detail    string
	Reference string // id of the request, for whoever is asked for help
	Fields    []field
	NewEmail  []field // of the account's page, for another address; nil where there is no mail
	Sessions  []row
	Others    bool // there are further sessions
	Factor    *status
	Enrolment *enrolment
	Codes     []string // recovery codes, shown this once
	Recovery  *field   // that takes a recovery code instead
	Confirm   string   // where a person has to confirm that it is them before changing anything
}

// field is one field of a form.
type field struct {
	Name, Label, Type, Complete string // Label and Hint are keys of the catalog

	Hint     string
	Value    string
	Wrong    string // what is wrong with it, in words
	Required bool
	Numeric  bool // phones show digits alone
	Focus    bool
}

// Described names what describes the field to a screen reader.
func (f field) Described() string {
	var ids []string
	if f.Hint != "" {
		ids = append(ids, f.Name+"-hint")
	}
	if f.Wrong != "" {
		ids = append(ids, f.Name+"-wrong")
	}
	return strings.Join(ids, " ")
}

// wrong is a field that has to be changed.
type wrong struct{ Field, Text string }

// Wrong are the fields that have to be changed.
func (p page) Wrong() []wrong {
	var all []wrong
	for _, f := range slices.Concat(p.NewEmail, p.Fields) {
		if f.Wrong != "" {
			all = append(all, wrong{f.Name, f.Wrong})
		}
	}
	if p.Recovery != nil && p.Recovery.Wrong != "" {
		all = append(all, wrong{p.Recovery.Name, p.Recovery.Wrong})
	}
	return all
}

// Failed reports whether the page says that something went wrong.
func (p page) Failed() bool { return p.Status >= http.StatusBadRequest }

// Wide reports whether the page is more than one card.
func (p page) Wide() bool { return p.Name == "account" }

// write writes a page. Its headers are those of R26: nothing is loaded, no script runs, the one
// style is known by its hash, no other site may frame it, and forms lead to this host or to where
// the page says. A browser that follows a redirect after a form asks the same list.
func (l *looks) write(w http.ResponseWriter, t tongue, p page) error {
	var body bytes.Buffer
	if err := t.pages[p.Name].ExecuteTemplate(&body, "layout", p); err != nil {
		return fmt.Errorf("write the page %s: %w", p.Name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", t.tag.String())
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language, Cookie")
	// Not no-referrer: with it browsers say "Origin: null" of a page's own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+l.style+"; img-src data:; form-action "+
		strings.Join(append([]string{"'self'"}, p.Actions...), " ")+"; base-uri 'none'; object-src 'none'; frame-ancestors 'none'")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body.Bytes()) // the client is gone when this is refused
	return nil
}
