package password

import (
	"strings"
	"unicode/utf8"
)

// MinLength is the least number of Unicode code points of a password that is the only factor (NIST SP 800-63B-4, section 3.1.1.2).
const MinLength = 15

// Factor names a password among what people are proven by.
const Factor = "password"

// Violation is the rule that a password breaks.
type Violation struct {
	Rule        string // stable name, such as "password.context"
	Description string // for people
}

// Policy are the rules for new passwords. The zero Policy has all rules but the one that needs a list
// of breached passwords.
type Policy struct {
	Breached *Breached // may be nil
}

// Check returns the first rule that a new password breaks, or nil. context are words that an attacker
// tries first: the address, its local part, the name, the product. Whole passwords are compared,
// without regard to case; there are no composition rules. An error is one of reading the list.
func (p Policy) Check(password string, context ...string) (*Violation, error) {
	password = Normalize(password)
	if v := judge(strings.ToLower(password), context); v != nil || p.Breached == nil {
		return v, nil
	}
	found, err := p.Breached.Contains(password)
	if err != nil || !found {
		return nil, err
	}
	return &Violation{"password.breached", "is known from a breach of another site"}, nil
}

// judge applies the rules that need no list but the one that is built in.
func judge(p string, context []string) *Violation {
	if utf8.RuneCountInString(p) < MinLength {
		return &Violation{"password.min_len", "must have at least 15 characters"}
	}
	for _, word := range context {
		if word = strings.ToLower(Normalize(word)); word != "" && repeats(p, word) {
			return &Violation{"password.context", "must not be the address, a name or the product's name, once or repeated"}
		}
	}
	runes := []rune(p)
	for length := 1; length <= 5; length++ {
		if periodic(runes, length) {
			return &Violation{"password.repetition", "must not repeat one short piece"}
		}
	}
	if sequential(runes) {
		return &Violation{"password.sequence", "must not be a sequence such as 123456789012345"}
	}
	if isCommon(p) {
		return &Violation{"password.common", "must not be a password that many people have, nor one repeated or two joined"}
	}
	return nil
}

// bare is a password without what people put between pieces.
func bare(p string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" -_.", r) {
			return -1
		}
		return r
	}, p)
}

// repeats reports whether p is word once or several times, the last time possibly cut, with nothing but separators between.
func repeats(p, word string) bool {
	p, word = bare(p), bare(word)
	if p == "" || word == "" || len(p) < len(word) {
		return false
	}
	for len(p) > len(word) {
		if !strings.HasPrefix(p, word) {
			return false
		}
		p = p[len(word):]
	}
	return strings.HasPrefix(word, p)
}

// periodic reports whether p is one piece of the given length over and over.
func periodic(p []rune, length int) bool {
	for i := length; i < len(p); i++ {
		if p[i] != p[i-length] {
			return false
		}
	}
	return true
}

// sequential reports whether p counts up or down through the alphabet, the digits or a keyboard row, starting over at the end.
func sequential(p []rune) bool {
	for _, row := range []string{"abcdefghijklmnopqrstuvwxyz", "0123456789", "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm"} {
		if walks(p, row, 1) || walks(p, row, len(row)-1) {
			return true
		}
	}
	return false
}

// walks reports whether each rune of p stands step places after its predecessor in the ring row.
func walks(p []rune, row string, step int) bool {
	at := strings.IndexRune(row, p[0])
	for _, r := range p {
		if at < 0 || rune(row[at]) != r {
			return false
		}
		at = (at + step) % len(row)
	}
	return true
}
