package app

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/keyfile"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/witness"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

// Config is everything that `audit serve` can be told.
type Config struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
	Keys     KeysConfig   `embed:""`
	Log      LogConfig    `embed:""`
}

// LogConfig is the option group of what is known of the log outside of its database.
type LogConfig struct {
	Witnesses      []string `name:"audit-witnesses" env:"GATEHOUSE_AUDIT_WITNESSES" placeholder:"URL KEY,..." help:"Witnesses that cosign checkpoints of the log (C2SP tlog-witness), separated by commas, each its URL, a space and its verifier key."`
	CheckpointFile string   `name:"audit-checkpoint-file" env:"GATEHOUSE_AUDIT_CHECKPOINT_FILE" placeholder:"PATH" help:"File with a signed checkpoint of the log that was kept elsewhere. A log that has signed it and does not have it was rewound, and signs no more."`
}

// Validate reports contradictions.
func (c LogConfig) Validate() error {
	for _, one := range c.Witnesses {
		w, err := newWitness(one)
		if err != nil {
			return err
		}
		w.Close()
	}
	return nil
}

func newWitness(text string) (*witness.Client, error) {
	address, key, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		return nil, fmt.Errorf("GATEHOUSE_AUDIT_WITNESSES has %q: give the URL of each witness, a space and its verifier key", text)
	}
	w, err := witness.NewClient(address, strings.TrimSpace(key))
	if err != nil {
		return nil, fmt.Errorf("GATEHOUSE_AUDIT_WITNESSES: %w", err)
	}
	return w, nil
}

// known reads the checkpoint file, which one of the keys of the log has to have signed; one that is
// not set knows nothing.
func (c LogConfig) known(keys ledger.Keys) (k ledger.Known, err error) {
	if c.CheckpointFile == "" {
		return k, nil
	}
	text, err := os.ReadFile(c.CheckpointFile)
	if err != nil {
		return k, fmt.Errorf("read the checkpoint (GATEHOUSE_AUDIT_CHECKPOINT_FILE): %w", err)
	}
	if k, err = keys.Known(text); err != nil {
		return ledger.Known{}, fmt.Errorf("the checkpoint %s (GATEHOUSE_AUDIT_CHECKPOINT_FILE) is refused: name a checkpoint that the key of this log has signed, or none: %w", c.CheckpointFile, err)
	}
	return k, nil
}

// KeysConfig is the option group of the keys that sign checkpoints of the log.
type KeysConfig struct {
	File         string `name:"audit-key-file" env:"GATEHOUSE_AUDIT_KEY_FILE" placeholder:"PATH" help:"File with the 32-byte key that signs checkpoints of the log, the seed of an Ed25519 key, raw or in base64, readable by its owner only."`
	PreviousFile string `name:"audit-key-previous-file" env:"GATEHOUSE_AUDIT_KEY_PREVIOUS_FILE" placeholder:"PATH" help:"File with the key of before, while it is replaced: both sign. An empty file is none."`
}

// Validate reports contradictions.
func (c KeysConfig) Validate() error {
	if c.File == "" {
		return errors.New("GATEHOUSE_AUDIT_KEY_FILE is not set: name a file made by `(umask 077; head -c 32 /dev/urandom | base64 > audit.key)`")
	}
	return nil
}

// open reads the keys.
func (c KeysConfig) open() (ledger.Keys, error) {
	const what = "the key of the log"
	key, err := keyfile.File{Path: c.File, Variable: "GATEHOUSE_AUDIT_KEY_FILE", What: what}.Read()
	if err != nil {
		return ledger.Keys{}, err
	}
	previous, err := keyfile.File{Path: c.PreviousFile, Variable: "GATEHOUSE_AUDIT_KEY_PREVIOUS_FILE", What: what, Optional: true}.Read()
	if err != nil {
		return ledger.Keys{}, err
	}
	return ledger.NewKeys(key, previous)
}

// platform is the name that origins of the log begin with: the host of the issuer.
func (c Config) platform() (string, error) {
	issuer, err := url.Parse(c.Kernel.Token.Issuer)
	if err != nil {
		return "", err
	}
	return issuer.Host, nil
}

// MigrateConfig is everything that `audit migrate` can be told. Its database URL is that of the
// schema's owner, not of the role that serves.
type MigrateConfig struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}
