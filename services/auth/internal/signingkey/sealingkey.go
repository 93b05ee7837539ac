package signingkey

import "github.com/gatehouse/gatehouse/internal/keyfile"

// OpenSealer reads the sealing key from a file that only its owner may read: 32 bytes, raw or in
// base64. An empty path of the previous one, or an empty file, is none.
func OpenSealer(path, previous string) (*Sealer, error) {
	key, err := keyfile.File{Path: path, Variable: "GATEHOUSE_AUTH_KEY_FILE", What: "the sealing key"}.Read()
	if err != nil {
		return nil, err
	}
	before, err := keyfile.File{Path: previous, Variable: "GATEHOUSE_AUTH_KEY_PREVIOUS_FILE", What: "the sealing key", Optional: true}.Read()
	if err != nil {
		return nil, err
	}
	return NewSealer(key, before)
}
