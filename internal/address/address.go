// Package address is the one rule by which e-mail addresses are compared (ADR 0052). Auth's logins,
// Identity's users and the filters of lists follow it; everybody may import it.
//
// Addresses are those of RFC 5321: ASCII. The contracts refuse others where an address is given to
// a login or a user. In those A to Z are the same as a to z, and every other character is itself:
// dots and "+tags" count.
package address

// Fold returns the form in which addresses are stored and compared. It changes the letters A to Z
// and nothing else: what Unicode folds to a letter of ASCII, such as the Kelvin sign or the dotless
// i, stays another character, so that nobody's address becomes another's.
func Fold(address string) string {
	folded := []byte(address)
	for i, c := range folded {
		if 'A' <= c && c <= 'Z' {
			folded[i] = c + ('a' - 'A')
		}
	}
	return string(folded)
}
