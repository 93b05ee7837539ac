package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ManagementToken is the secret file of the operator's Consul token. Whoever has it has a
// platform's data.
const ManagementToken = "consul-management.token"

// MakeConsul makes the agent's data folder. The data of an older version, which lay in the folder
// around it, are moved there. It may begin again after it was interrupted anywhere.
func (d Dir) MakeConsul() error {
	around, moving := filepath.Dir(d.Consul()), filepath.Join(d.root, ".gatehouse-consul")
	if exists(filepath.Join(around, "raft")) && exists(d.SecretPath(ManagementToken)) { // else they are not ours
		if err := os.Rename(around, moving); err != nil {
			return fmt.Errorf("move Consul's data: %w", err)
		}
	}
	if err := os.MkdirAll(around, 0o700); err != nil {
		return d.unwritable(err)
	}
	if exists(moving) {
		if err := os.Rename(moving, d.Consul()); err != nil {
			return fmt.Errorf("move Consul's data: %w", err)
		}
	}
	if err := os.MkdirAll(d.Consul(), 0o700); err != nil {
		return d.unwritable(err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
