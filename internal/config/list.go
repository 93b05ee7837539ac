package config

import "strings"

// List is an option of several texts, separated by commas. Blanks around one and empty ones, which
// templates leave behind, do not count.
type List []string

// UnmarshalText adds the elements of the text, so that a flag may be given more than once.
func (l *List) UnmarshalText(text []byte) error {
	for element := range strings.SplitSeq(string(text), ",") {
		if element = strings.TrimSpace(element); element != "" {
			*l = append(*l, element)
		}
	}
	return nil
}
