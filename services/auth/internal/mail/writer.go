package mail

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	html "html/template"
	"strings"
	text "text/template"
	"time"
	"unicode"

	"golang.org/x/text/language"
)

//go:embed texts/*.json templates/layout.*
var files embed.FS

// values are what a text may say beside its words.
type values struct {
	Email  string
	Former string    // address of before
	Time   time.Time // when it happened
	Until  time.Time // what it tells is good
	Link   string
}

// shown is what both templates are filled with.
type shown struct {
	Language, Subject   string
	Paragraphs          []string
	Link, Label, Footer string
}

// tongue is one language and its texts by their keys.
type tongue struct {
	tag   language.Tag
	texts map[string]string
}

// languages are those that mails are written in; the first is that of who asks for none of them.
func languages() []language.Tag { return []language.Tag{language.English, language.German} }

// Language returns the language of mails that suits an Accept-Language, for those who are told later
// what they did not ask for; "" when it names none of them.
func Language(accept string) string {
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil || len(wanted) == 0 {
		return ""
	}
	_, i, sure := language.NewMatcher(languages()).Match(wanted...)
	if sure == language.No {
		return ""
	}
	return languages()[i].String()
}

// writer writes letters: the texts of each language in the same two templates. Links lead to the
// issuer, whatever a request calls this host.
type writer struct {
	issuer  string
	matcher language.Matcher
	tongues []tongue // as languages
	text    *text.Template
	html    *html.Template
}

func newWriter(issuer string) (*writer, error) {
	w := &writer{issuer: strings.TrimSuffix(issuer, "/"), matcher: language.NewMatcher(languages())}
	for _, tag := range languages() {
		raw, err := files.ReadFile("texts/" + tag.String() + ".json")
		if err != nil {
			return nil, fmt.Errorf("read the texts of mails: %w", err)
		}
		t := tongue{tag: tag}
		if err := json.Unmarshal(raw, &t.texts); err != nil {
			return nil, fmt.Errorf("read the texts of mails in %s: %w", tag, err)
		}
		w.tongues = append(w.tongues, t)
	}
	var err error
	if w.text, err = text.ParseFS(files, "templates/layout.txt"); err != nil {
		return nil, fmt.Errorf("read the template of mails: %w", err)
	}
	if w.html, err = html.ParseFS(files, "templates/layout.html"); err != nil {
		return nil, fmt.Errorf("read the template of mails: %w", err)
	}
	return w, nil
}

// link leads to a path of the issuer's host.
func (w *writer) link(path string) string { return w.issuer + path }

// site is what people know the issuer as.
func (w *writer) site() string {
	_, host, _ := strings.Cut(w.issuer, "://")
	return host
}

// minute is how a time is written.
const minute = "2006-01-02 15:04 UTC"

// speaks returns the language that suits an Accept-Language best.
func (w *writer) speaks(accept string) tongue {
	wanted, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return w.tongues[0]
	}
	_, i, _ := w.matcher.Match(wanted...)
	return w.tongues[i]
}

var errControl = errors.New("a header field has a control character")

// write writes a letter. A line break in what becomes a header field is refused: it would begin
// another one.
func (w *writer) write(kind Kind, to, accept string, v values) (Letter, error) {
	t := w.speaks(accept)
	s := shown{Language: t.tag.String(), Link: v.Link}
	fill := strings.NewReplacer(
		"{email}", v.Email, "{former}", v.Former, "{site}", w.site(), "{time}", v.Time.UTC().Format(minute), "{until}", v.Until.UTC().Format(minute),
	)
	for _, part := range []struct {
		key string
		in  *string
	}{{"subject", &s.Subject}, {"link", &s.Label}} {
		said, ok := t.texts[string(kind)+"."+part.key]
		if !ok {
			return Letter{}, fmt.Errorf("the texts of mails in %s have no %s.%s", t.tag, kind, part.key)
		}
		*part.in = fill.Replace(said)
	}
	for paragraph := range strings.SplitSeq(t.texts[string(kind)+".text"], "\n") {
		s.Paragraphs = append(s.Paragraphs, fill.Replace(paragraph))
	}
	s.Footer = t.texts["footer"]
	if strings.ContainsFunc(to+s.Subject, unicode.IsControl) {
		return Letter{}, errControl
	}
	var plain, rich strings.Builder
	if err := w.text.Execute(&plain, s); err != nil {
		return Letter{}, fmt.Errorf("write mail: %w", err)
	}
	if err := w.html.Execute(&rich, s); err != nil {
		return Letter{}, fmt.Errorf("write mail: %w", err)
	}
	return Letter{To: to, Language: s.Language, Subject: s.Subject, Text: plain.String(), HTML: rich.String()}, nil
}
