package pages

import (
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/text/language"
)

//go:embed texts/*.json
var texts embed.FS

// languages are those that pages are written in; the first is that of who asks for none of them.
func languages() []language.Tag { return []language.Tag{language.English, language.German} }

// catalog is the texts of one language by their keys.
type catalog map[string]string

func readCatalog(tag language.Tag) (catalog, error) {
	raw, err := texts.ReadFile("texts/" + tag.String() + ".json")
	if err != nil {
		return nil, fmt.Errorf("read the texts: %w", err)
	}
	var c catalog
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("read the texts of %s: %w", tag, err)
	}
	return c, nil
}

// text is the text of a key, with its values put in. A key that is not there is an error: a
// template that asks for it fails.
func (c catalog) text(key string, values ...any) (string, error) {
	t, ok := c[key]
	switch {
	case !ok:
		return "", fmt.Errorf("the catalog has no %q", key)
	case len(values) == 0:
		return t, nil
	}
	return fmt.Sprintf(t, values...), nil
}

// say is text for keys that stand in this package; a test knows that all are there.
func (c catalog) say(key string, values ...any) string {
	t, err := c.text(key, values...)
	if err != nil {
		return key
	}
	return t
}

const day = 24 * time.Hour

// ago says how long ago something was. Where the person is, and so the time of the day there, is
// not known without a script.
func (c catalog) ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return c.say("ago.now")
	case d < time.Hour:
		return c.say("ago.minutes", int(d/time.Minute))
	case d < day:
		return c.say("ago.hours", int(d/time.Hour))
	case d < 2*day:
		return c.say("ago.yesterday")
	}
	return c.say("ago.days", int(d/day))
}
