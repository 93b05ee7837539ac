package postgres

import (
	"fmt"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// texts are relationships as they are stored.
func texts(tuples []relation.Tuple) []string {
	all := make([]string, len(tuples))
	for i, t := range tuples {
		all[i] = t.String()
	}
	return all
}

// tuples reads them.
func tuples(texts []string) ([]relation.Tuple, error) {
	all := make([]relation.Tuple, len(texts))
	for i, text := range texts {
		t, err := relation.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("read a stored relationship: %w", err)
		}
		all[i] = t
	}
	return all, nil
}
