package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
)

// Exit codes of what verifies: a script must not take a mistyped flag for a forged trail.
const (
	tampered    = exitError(1)
	notVerified = exitError(2)
)

// misused is the exit code of a command line that cannot be read.
func misused(args []string) int {
	if len(args) > 1 && args[0] == "audit" && args[1] == "verify" {
		return int(notVerified)
	}
	return 1
}

type auditVerifyCommand struct {
	Log    auditVerifyLogCommand    `cmd:"" default:"withargs" help:"Verify the newest checkpoint, that the log begins with the one that was kept (--checkpoint), and every event up to it."`
	Bundle auditVerifyBundleCommand `cmd:"" help:"Prove the events of a bundle; needs neither the platform nor a network."`
}

// trustFlags are the keys that whoever verifies has got otherwise than with what is verified.
type trustFlags struct {
	Key     []string `help:"Verifier key of the log, name+hash+key, as you pinned it. Several while it is replaced." sep:"none" placeholder:"VKEY"`
	Witness []string `help:"Verifier key of a witness that has to have cosigned." sep:"none" placeholder:"VKEY"`
}

// keys reads them; those that were found with the evidence are only shown.
func (f trustFlags) keys(found []string) (auditlog.Keys, error) {
	if len(f.Key) == 0 && len(found) > 0 {
		return auditlog.Keys{}, fmt.Errorf("give the log's verifier key with --key. What is verified names %s: use it when you have the same from somebody whom you trust", strings.Join(found, ", "))
	}
	if len(f.Key) == 0 {
		return auditlog.Keys{}, errors.New("give the log's verifier key with --key, as you have pinned it")
	}
	return auditlog.ParseKeys(f.Key, f.Witness)
}

// witnessed refuses a checkpoint that a witness who was asked for has not cosigned.
func (f trustFlags) witnessed(s auditlog.Signed) error {
	for _, text := range f.Witness {
		name, _, _ := strings.Cut(text, "+")
		if !slices.ContainsFunc(s.Cosignatures, func(c auditlog.Cosignature) bool { return c.Witness == name }) {
			return &auditlog.Tampered{Place: "the checkpoint", Err: fmt.Errorf("the witness %s has not cosigned it", name)}
		}
	}
	return nil
}

type auditVerifyBundleCommand struct {
	trustFlags `embed:""`
	File       string `arg:"" help:"Bundle, as the platform gave it out; - reads standard input."`
	Print      bool   `help:"Print the bytes of each event that is proven, one a line, and the report on standard error."`
}

// Run verifies a bundle.
func (c *auditVerifyBundleCommand) Run(console *Console) error {
	report, err := c.verify(console)
	return console.verdict(err, func() {
		console.checkpoint(report.Checkpoint)
		console.coloured(green, "good")
		console.printf(": %s in the trail as stored; of their personal values %d are those that were hashed, and %d are not in the bundle: erased, or not told to who wrote it\n",
			plural(report.Events, "event is", "events are"), report.Personal, report.Missing)
		console.unknown(report.Checkpoint)
	})
}

func (c *auditVerifyBundleCommand) verify(console *Console) (auditlog.BundleReport, error) {
	file, size, err := open(c.File)
	if err != nil {
		return auditlog.BundleReport{}, err
	}
	defer func() { _ = file.Close() }()
	read := &counted{r: file}
	if len(c.Key) == 0 { // those in the bundle help to find the right one
		head, err := auditlog.NewBundleReader(file)
		if err == nil {
			_, err = c.keys(head.Keys)
		}
		return auditlog.BundleReport{}, err
	}
	keys, err := c.keys(nil)
	if err != nil {
		return auditlog.BundleReport{}, err
	}
	each, done := 0, io.Discard
	if c.Print {
		done = console.pipe(nil)
		console.Out, console.out = console.Err, console.err
	}
	report, err := auditlog.VerifyBundle(bufio.NewReaderSize(read, 64<<10), keys, func(e auditlog.Entry, _ event.Event) {
		_, _ = fmt.Fprintf(done, "%s\n", e.Canonical)
		if each++; each%1000 == 0 {
			console.progress("%d events, %s", each, share(read.n, size))
		}
	})
	console.progress("")
	if err == nil {
		err = c.witnessed(report.Checkpoint)
	}
	return report, err
}

// verdict says how it ended: good, tampered and where, or not verified and why.
func (c *Console) verdict(err error, good func()) error {
	var found *auditlog.Tampered
	switch {
	case err == nil:
		good()
		return nil
	case errors.As(err, &found):
		c.coloured(red, "TAMPERED")
		c.printf(": %v\n", found)
		return tampered
	}
	fmt.Fprintf(c.Err, "gatehouse: not verified: %v\n", err)
	return notVerified
}

// checkpoint shows what was signed, and by whom.
func (c *Console) checkpoint(s auditlog.Signed) {
	c.printf("checkpoint   %s, %s, root %s\n", s.Origin, plural(s.Size, "event", "events"), s.Root)
	for _, key := range s.Keys {
		c.printf("signed by    %s\n", key)
	}
	for _, w := range s.Cosignatures {
		c.printf("cosigned by  %s at %s\n", w.Witness, w.Time.Format("2006-01-02T15:04:05Z"))
	}
}

// unknown says what no signature of the log alone can show.
func (c *Console) unknown(s auditlog.Signed) {
	if len(s.Cosignatures) > 0 {
		return
	}
	c.coloured(yellow, "not known")
	c.printf(": whether others were shown another history. The log alone has signed this one: ask for a witness, and name it with --witness\n")
}

func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// open opens a file, or standard input, and says how large it is; 0 when nobody knows.
func open(name string) (*os.File, int64, error) {
	if name == "-" {
		return os.Stdin, 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// share is how much of it was read.
func share(n, of int64) string {
	if of <= 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d %%", 100*n/of)
}

// counted counts what is read through it.
type counted struct {
	r io.Reader
	n int64
}

// Read reads.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
