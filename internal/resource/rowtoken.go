package resource

import (
	"encoding/base64"
	"encoding/json"
)

// rowToken is the last row of a page, and a digest of what it was asked by.
type rowToken[R any] struct {
	Filter string `json:"f"`
	After  R      `json:"a"`
}

// RowToken returns the token of the page after a row, for lists whose order is that of whole rows:
// base64url of JSON. R is a struct of strings. digest stands for the list and its filter; it is
// short, because it only tells mistakes from intent: who changes a token sees no more than who
// changes the filter.
func RowToken[R any](digest string, last R) string {
	text, _ := json.Marshal(rowToken[R]{Filter: digest, After: last}) // strings only
	return base64.RawURLEncoding.EncodeToString(text)
}

// ParseRowToken returns the row of a token that RowToken made with the same digest; ok is false for
// any other text.
func ParseRowToken[R any](text, digest string) (after R, ok bool) {
	var token rowToken[R]
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(decoded, &token)
	}
	return token.After, err == nil && token.Filter == digest
}
