package pages

import "strings"

// device says what a client calls itself in a few words, for people who look for a session that
// they do not know: browser and system, where those are common ones. What a client says of itself
// may be a lie, and is shown as text.
func (t tongue) device(agent string) string {
	browser, system := first(agent, browsers()), first(agent, systems())
	switch {
	case browser != "" && system != "":
		return t.say("agent.on", browser, system)
	case browser != "":
		return browser
	case agent == "":
		return t.say("agent.unknown")
	}
	product, _, _ := strings.Cut(agent, " ")
	product, _, _ = strings.Cut(product, "/")
	return product
}

// mark is a part of a User-Agent by which something is known.
type mark struct{ part, name string }

// browsers are in the order in which they are looked for: nearly all call themselves Safari too,
// and most Chrome.
func browsers() []mark {
	return []mark{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
}

// systems are in the order in which they are looked for: Android is a Linux, and iOS like macOS.
func systems() []mark {
	return []mark{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"},
		{"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
}

func first(agent string, marks []mark) string {
	for _, m := range marks {
		if strings.Contains(agent, m.part) {
			return m.name
		}
	}
	return ""
}
