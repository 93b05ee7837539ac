// Package archtest holds the rules of the house that no linter can: sizes, names, and imports through other packages. It has only
// tests and nobody imports it.
package archtest
