// Package state is the state folder of one platform on one machine: data, secrets, logs, and the
// record of what runs. It is used only by the user that it belongs to, and only where nobody else
// can have put anything into it.
//
//	.gatehouse/      0711: PostgreSQL's unprivileged user passes through it to its data
//	  up.lock        held by the running `gatehouse up`
//	  platform.json  what runs, with the identity of each process; absent when nothing does
//	  secrets/       0700; every file 0600
//	  consul/        0700; in it the agent's data, kept between runs, which belong to the agent's user
//	  postgres/      its data, kept between runs
//	  logs/          0700; <process>.log
//	  .gatehouse-run/     0700; while root's platform runs: what its processes, each a user of its own, are given
//
// Only commands of the CLI import it.
package state

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/owned"
)

// Dir is an opened state folder.
type Dir struct {
	root  string // its place: no link on the way
	named string // as it was asked for
}

// Open finds a state folder; it need not exist yet. A folder of another user, or one that others
// can change, is refused: every command that reads the record or a secret would do what they wrote
// there.
func Open(path string) (Dir, error) {
	root, err := owned.Folder(path)
	if err != nil {
		return Dir{}, refused(path, err)
	}
	for _, part := range parts() {
		if err := owned.Part(filepath.Join(root, part)); err != nil {
			return Dir{}, refused(path, err)
		}
	}
	named, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, refused(path, err)
	}
	return Dir{root: root, named: named}, nil
}

// parts are the folders in it that are root's, or the user's, alone.
func parts() []string { return []string{"secrets", "consul", "logs"} }

func refused(path string, err error) error {
	return fmt.Errorf("the state folder %s cannot be used: %w, or name another folder with --state", path, err)
}

// Prepare makes the folder and its parts, closes them to others as far as may be, and finds out
// whether it can be written. What Open did not find, somebody may have made since: it is looked at
// again before anything is done in it.
func (d Dir) Prepare() error {
	_, err := os.Stat(d.lockPath())
	ours := err == nil // else it is somebody's folder that --state names, and its mode somebody's choice
	if err := d.prepare("", 0o711, ours); err != nil {
		return err
	}
	for _, part := range parts() {
		if err := d.prepare(part, 0o700, ours); err != nil {
			return err
		}
	}
	probe, err := os.CreateTemp(d.root, ".probe-*")
	if err != nil {
		return d.unwritable(err)
	}
	_ = probe.Close()
	if err := os.Remove(probe.Name()); err != nil {
		return d.unwritable(err)
	}
	return nil
}

func (d Dir) prepare(part string, mode fs.FileMode, ours bool) error {
	path := filepath.Join(d.root, part)
	if err := os.MkdirAll(path, mode); err != nil {
		return d.unwritable(err)
	}
	place, err := owned.Folder(path)
	if err == nil && place != path {
		err = fmt.Errorf("%s has become a link to %s: remove it", path, place)
	}
	if err != nil {
		return refused(d.named, err)
	}
	if err := tighten(path, mode, ours); err != nil {
		return d.unwritable(err)
	}
	return nil
}

// tighten takes away what the mode does not give, from a folder of an older version that gave more.
func tighten(path string, mode fs.FileMode, ours bool) error {
	info, err := os.Stat(path)
	if err != nil || !ours || info.Mode().Perm()&^mode == 0 {
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&mode)
}

func (d Dir) unwritable(err error) error {
	var reason *fs.PathError
	if errors.As(err, &reason) {
		err = reason.Err
	}
	return fmt.Errorf("the state folder %s cannot be written (%w): give it to this user or name another one with --state", d.root, err)
}

// Root is the absolute path of the folder, without links.
func (d Dir) Root() string { return d.root }

// Named is the absolute path by which the folder was opened; it may lead through links.
func (d Dir) Named() string { return d.named }

// Consul is the agent's data folder. It belongs to the agent's user, whose number another process
// may get later: only the folder around it keeps that one out.
func (d Dir) Consul() string { return filepath.Join(d.root, "consul", "gatehouse-data") }

// Postgres is the parent of PostgreSQL's data folder.
func (d Dir) Postgres() string { return filepath.Join(d.root, "postgres") }

// Run is the folder of what processes with users of their own are given. Its name is one that
// nobody else gives: it is removed with all that is in it.
func (d Dir) Run() string { return filepath.Join(d.root, ".gatehouse-run") }

// Logs is the folder of the log files.
func (d Dir) Logs() string { return filepath.Join(d.root, "logs") }

// Log is the log file of a process.
func (d Dir) Log(process string) string { return filepath.Join(d.Logs(), process+".log") }

// SecretPath is the file of a secret.
func (d Dir) SecretPath(name string) string { return filepath.Join(d.root, "secrets", name) }

// Secret reads a secret, which generate makes when it does not exist yet.
func (d Dir) Secret(name string, generate func() (string, error)) (string, error) {
	secret, err := d.ReadSecret(name)
	if err == nil && secret != "" {
		return secret, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if secret, err = generate(); err != nil {
		return "", err
	}
	return secret, d.WriteSecret(name, secret)
}

// ReadSecret reads a secret; one that was never made is fs.ErrNotExist.
func (d Dir) ReadSecret(name string) (string, error) {
	raw, err := read(d.SecretPath(name))
	if err != nil {
		return "", fmt.Errorf("read a secret of the state folder: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// WriteSecret stores a secret readable by its owner only, whole or not at all.
func (d Dir) WriteSecret(name, secret string) error {
	return writeFile(d.SecretPath(name), []byte(secret+"\n"))
}

// RemoveSecret forgets a secret that nobody needs any more, or that was never made.
func (d Dir) RemoveSecret(name string) error {
	if err := os.Remove(d.SecretPath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a secret of the state folder: %w", err)
	}
	return nil
}

// Key generates 32 random bytes in base64: a gossip key, a password, a key-encryption key.
func Key() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make a random key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(raw), nil
}

// Password generates 32 random bytes in base64 that need no escaping in a URL.
func Password() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make a random password: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// Token generates the secret of a Consul ACL token.
func Token() (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make a random token: %w", err)
	}
	return id.String(), nil
}

// read is os.ReadFile for files that are ours.
func read(path string) ([]byte, error) {
	f, err := owned.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f)
}

// writeFile replaces a file atomically, mode 0600.
func writeFile(path string, content []byte) error {
	if err := owned.Replace(path, content); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
