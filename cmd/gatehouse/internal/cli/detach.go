package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/owned"
)

// message is one line from the background half of `up --detach` to the half that the operator sees.
type message struct {
	Progress string `json:"progress,omitempty"`
	Error    string `json:"error,omitempty"`
	Ready    bool   `json:"ready,omitempty"`
}

// reporter says how `up` is doing: to the operator's terminal and, in the background, to the half that waits. Supervised processes that
// die report from goroutines of their own.
type reporter struct {
	console *Console

	mu   sync.Mutex // guards what is written, too: lines stay whole
	pipe *os.File   // nil in the foreground and once ready
}

func (c *upCommand) reporter(console *Console) *reporter {
	r := &reporter{console: console}
	if c.ReportFD > 2 {
		syscall.CloseOnExec(c.ReportFD)
		r.pipe = os.NewFile(uintptr(c.ReportFD), "report")
	}
	return r
}

func (r *reporter) progress(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.console.printf("%s\n", text)
	r.send(message{Progress: text})
}

func (r *reporter) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.send(message{Error: err.Error()})
	}
	r.close()
}

func (r *reporter) ready() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send(message{Ready: true})
	r.close()
}

// send tells the half that waits. The caller holds mu.
func (r *reporter) send(m message) {
	if r.pipe != nil {
		_ = json.NewEncoder(r.pipe).Encode(m) // nobody waits any more
	}
}

// close ends the reports to the half that waits. The caller holds mu.
func (r *reporter) close() {
	if r.pipe != nil {
		_ = r.pipe.Close()
		r.pipe = nil
	}
}

// detach runs `up` in a session of its own and waits until it is healthy or has failed.
func (c *upCommand) detach(console *Console) error {
	dir, err := c.open()
	if err != nil {
		return err
	}
	if err := dir.Prepare(); err != nil {
		return err
	}
	log, err := owned.Open(dir.Log("up"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of `up`: %w", err)
	}
	defer func() { _ = log.Close() }()
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	background, err := c.background(console.Environ)
	if err != nil {
		return err
	}
	background.Stdout, background.Stderr = log, log
	background.ExtraFiles = []*os.File{write} // its 3
	err = background.Start()
	_ = write.Close()
	if err != nil {
		return fmt.Errorf("start `up` in the background: %w", err)
	}
	stop := forward(background.Process)
	defer stop()
	return await(console, read, background.Process.Pid, dir.Log("up"))
}

// background is the same command without --detach, in a session of its own.
func (c *upCommand) background(environ []string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	args := []string{"up", "--state", c.State, "--port-offset", strconv.Itoa(c.PortOffset), "--bin-dir", c.BinDir, "--service-prefix", string(c.Prefix), "--report-fd", "3"}
	if len(c.Scale) > 0 {
		args = append(args, "--scale", c.Scale.String())
	}
	if c.Mesh != "" {
		args = append(args, "--mesh", c.Mesh)
	}
	if c.Adopt != "" {
		args = append(args, "--adopt", c.Adopt)
	}
	cmd := exec.Command(self, args...) //nolint:noctx // it goes on when this one has ended
	for _, pair := range environ {
		if name, _, _ := strings.Cut(pair, "="); name != "GATEHOUSE_POSTGRES_URL" && name != "GATEHOUSE_POSTGRES_URL_FILE" {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	if !c.PostgresURL.IsZero() {
		cmd.Env = append(cmd.Env, "GATEHOUSE_POSTGRES_URL="+c.PostgresURL.Reveal())
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// forward hands Ctrl-C on to the background half while we wait for it.
func forward(process *os.Process) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	go func() {
		for range signals {
			_ = process.Signal(syscall.SIGTERM)
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}

// await prints the progress of the background half until it is ready, has failed or is gone.
func await(console *Console, pipe *os.File, pid int, log string) error {
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		var m message
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return fmt.Errorf("read the progress of `up`: %w", err)
		}
		switch {
		case m.Error != "":
			return errors.New(m.Error)
		case m.Ready:
			console.printf("running in the background (pid %d); `gatehouse down` ends it\n", pid)
			return nil
		default:
			console.printf("%s\n", m.Progress)
		}
	}
	return fmt.Errorf("`up` ended in the background before it was ready (log: %s)", log)
}
