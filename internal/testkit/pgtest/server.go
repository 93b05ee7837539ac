package pgtest

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

// startTimeout is generous: all packages' tests may start at the same time on two cores.
const startTimeout = 60 * time.Second

//go:embed keeper.sh
var keeper string

// state is what test processes tell each other about the server, in server.json.
type state struct {
	Port     int    `json:"port"`
	Password string `json:"password"`
	DataDir  string `json:"data_dir"`
}

// join returns the running server and keeps it alive until the test ends.
func join(t testing.TB) *pgserver.Server {
	t.Helper()
	base, account, err := home()
	if err != nil {
		t.Fatalf("make the folder of the test database server: %v", err)
	}
	// Order matters: who starts or stops the server holds "lock"; who uses it holds "users" too, taken while nobody can stop it.
	unlock := flock(t, filepath.Join(base, "lock"), account, syscall.LOCK_EX)
	defer unlock()
	leave := flock(t, filepath.Join(base, "users"), account, syscall.LOCK_SH)
	t.Cleanup(leave)

	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), startTimeout)
	defer cancel()
	if server, ok := running(ctx, base); ok {
		return server
	}
	server, err := start(ctx, t, base, account)
	if err != nil {
		t.Fatalf("start the test database server: %v", err)
	}
	return server
}

// home returns the folder of the server of this user. The name is known to everyone, so nobody else's folder is accepted.
func home() (string, *pgserver.Account, error) {
	account, err := pgserver.ServerAccount()
	if err != nil {
		return "", nil, err
	}
	base := filepath.Join(os.TempDir(), fmt.Sprintf("gatehouse-pgtest-%d", os.Geteuid()))
	owner := os.Geteuid()
	err = os.Mkdir(base, 0o700)
	if account != nil {
		owner = account.UID
		if err == nil {
			err = os.Lchown(base, account.UID, account.GID)
		}
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return "", nil, err
	}
	for range 100 { // another process may be between Mkdir and Lchown
		info, err := os.Lstat(base)
		if err != nil {
			return "", nil, err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.IsDir() && int(stat.Uid) == owner && info.Mode().Perm() == 0o700 {
			return base, account, nil
		}
		<-time.After(10 * time.Millisecond)
	}
	return "", nil, fmt.Errorf("%s belongs to somebody else: remove it", base)
}

// flock takes a lock on a file and returns how to free it.
func flock(t testing.TB, path string, account *pgserver.Account, how int) (unlock func()) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		t.Fatalf("open lock: %v", err)
	}
	if account != nil {
		err = file.Chown(account.UID, account.GID)
	}
	for err == nil {
		if err = syscall.Flock(int(file.Fd()), how); err == nil {
			return func() { _ = file.Close() }
		}
		if errors.Is(err, syscall.EINTR) {
			err = nil
		}
	}
	t.Fatalf("take lock %s: %v", path, err)
	return nil
}

// running finds the server of an earlier test process. One whose processes live is given time to
// answer: on a busy machine that may take longer than a second, and a second server on its data
// would not start.
func running(ctx context.Context, base string) (*pgserver.Server, bool) {
	content, err := os.ReadFile(filepath.Join(base, "server.json"))
	if err != nil {
		return nil, false
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, false
	}
	server := &pgserver.Server{Port: s.Port, Password: config.NewSecret(s.Password)}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !database.Answers(ctx, server.SuperURL("postgres")) {
		if s.DataDir == "" || len(pgserver.Processes(s.DataDir)) == 0 {
			return nil, false
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, false
		}
	}
	return server, true
}

// start starts the server under its keeper, on the data of last time.
func start(ctx context.Context, t testing.TB, base string, account *pgserver.Account) (*pgserver.Server, error) {
	sweepPrivate(base)
	server, err := prepare(ctx, t, filepath.Join(base, "data"))
	if err != nil {
		return nil, err
	}
	keeperPID, err := keep(server, base, account)
	if err != nil {
		return nil, err
	}
	if err := answers(ctx, server, keeperPID); err != nil {
		// Without fsync a crash of the machine may have broken the data: the next start makes new ones.
		_ = syscall.Kill(-keeperPID, syscall.SIGKILL)
		log, _ := os.ReadFile(filepath.Join(base, "log"))
		return nil, errors.Join(err, os.Remove(passwordFile(server)), errors.New(string(log)))
	}
	if err := sweep(ctx, server); err != nil {
		return nil, err
	}
	content, err := json.Marshal(state{Port: server.Port, Password: server.Password.Reveal(), DataDir: server.DataDir})
	if err != nil {
		return nil, err
	}
	return server, os.WriteFile(filepath.Join(base, "server.json"), content, 0o600)
}

// answers waits until the server answers or has ended.
func answers(ctx context.Context, server *pgserver.Server, keeperPID int) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !database.Answers(ctx, server.SuperURL("postgres")) {
		if pid, err := syscall.Wait4(keeperPID, nil, syscall.WNOHANG, nil); err == nil && pid == keeperPID {
			return errors.New("the server ended at its start")
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w", ctx.Err())
		}
	}
	return nil
}

// prepare makes a server that trades durability for speed.
func prepare(ctx context.Context, t testing.TB, data string) (*pgserver.Server, error) {
	binDir, version, err := pgserver.Locate(t.Context(), "", t.Output())
	if err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(version, ".")
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	server := &pgserver.Server{
		BinDir: binDir, DataDir: data + "-" + major, Port: port,
		Settings: map[string]string{
			"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off",
			"max_connections": "400", "shared_buffers": "64MB",
		},
	}
	return server, initialize(ctx, server)
}

// initialize makes the data folder and keeps the superuser's password beside it.
func initialize(ctx context.Context, server *pgserver.Server) error {
	if content, err := os.ReadFile(passwordFile(server)); err == nil {
		server.Password = config.NewSecret(string(content))
		return server.Init(ctx)
	}
	if err := os.RemoveAll(server.DataDir); err != nil {
		return err
	}
	server.Password = config.NewSecret(rand.Text())
	if err := server.Init(ctx); err != nil {
		return err
	}
	return os.WriteFile(passwordFile(server), []byte(server.Password.Reveal()), 0o600)
}

// passwordFile is the mark of whole data, too.
func passwordFile(server *pgserver.Server) string { return server.DataDir + ".password" }

// keep starts the keeper, which starts the server. Neither belongs to this process: other test processes use them on.
func keep(server *pgserver.Server, base string, account *pgserver.Account) (pid int, err error) {
	postgres, err := server.Command()
	if err != nil {
		return 0, err
	}
	log, err := os.OpenFile(filepath.Join(base, "log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command("sh", append([]string{"-c", keeper, "keeper", base}, postgres.Args...)...) // ours
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = postgres.Dir, postgres.Env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if account != nil {
		cmd.SysProcAttr.Credential = postgres.SysProcAttr.Credential
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	return cmd.Process.Pid, cmd.Process.Release()
}

// sweep drops what earlier runs left: databases of failed tests and templates of old migrations.
func sweep(ctx context.Context, server *pgserver.Server) error {
	settings, err := pgurl.Parse(server.SuperURL("postgres"))
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "select datname from pg_database where datname like 'testdb\\_tpl\\_%'")
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		quoted := pgx.Identifier{name}.Sanitize()
		_, _ = conn.Exec(ctx, "alter database "+quoted+" with is_template false") // instances are none
		if _, err := conn.Exec(ctx, "drop database "+quoted); err != nil {
			return err
		}
	}
	return nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
