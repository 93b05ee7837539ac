package app

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// Config is everything that `auth serve` can be told.
type Config struct {
	Kernel   fxmod.Config   `embed:""`
	Postgres pg.Config      `embed:""`
	Keys     KeysConfig     `embed:""`
	Sessions SessionsConfig `embed:""`
	Password PasswordConfig `embed:""`
	Mail     MailConfig     `embed:""`

	SignUps   SignUpsConfig   `embed:""`
	Bootstrap BootstrapConfig `embed:""`
}

// Validate reports contradictions between the groups.
func (c Config) Validate() error {
	if c.Sessions.Idle <= c.Sessions.AccessTTL {
		return fmt.Errorf("GATEHOUSE_AUTH_SESSION_IDLE (%s) must be longer than GATEHOUSE_AUTH_ACCESS_TOKEN_TTL (%s), or no session can be refreshed",
			c.Sessions.Idle, c.Sessions.AccessTTL)
	}
	return c.validateMailbox()
}

// SealConfig is the option group of the keys that seal signing keys.
type SealConfig struct {
	File         string `name:"auth-key-file" env:"GATEHOUSE_AUTH_KEY_FILE" placeholder:"PATH" help:"File with the 32-byte key that seals the signing keys at rest, raw or in base64, readable by its owner only."`
	PreviousFile string `name:"auth-key-previous-file" env:"GATEHOUSE_AUTH_KEY_PREVIOUS_FILE" placeholder:"PATH" help:"File with the key of before, while it is replaced; an empty file is none."`
}

// Validate reports contradictions.
func (c SealConfig) Validate() error {
	if c.File == "" {
		return errors.New("GATEHOUSE_AUTH_KEY_FILE is not set: name a file made by `(umask 077; head -c 32 /dev/urandom | base64 > auth.key)`")
	}
	return nil
}

// KeysConfig is the option group of signing keys.
type KeysConfig struct {
	Seal      SealConfig    `embed:""`
	Algorithm string        `name:"auth-signing-algorithm" env:"GATEHOUSE_AUTH_SIGNING_ALGORITHM" default:"EdDSA" help:"Algorithm of new signing keys: EdDSA or ES256."`
	MaxAge    time.Duration `name:"auth-key-max-age" env:"GATEHOUSE_AUTH_KEY_MAX_AGE" default:"5m" help:"How long others may cache the key set; a new key is published longer than this before it signs."`
	Interval  time.Duration `name:"auth-key-rotation-interval" env:"GATEHOUSE_AUTH_KEY_ROTATION_INTERVAL" default:"24h" help:"How long a key signs before the next one takes over."`
}

// Validate reports contradictions.
func (c KeysConfig) Validate() error {
	notice := signingkey.Policy{MaxAge: c.MaxAge}.Notice()
	switch {
	case c.Algorithm != token.EdDSA && c.Algorithm != token.ES256:
		return fmt.Errorf("GATEHOUSE_AUTH_SIGNING_ALGORITHM is %q: set it to %s or %s", c.Algorithm, token.EdDSA, token.ES256)
	case c.MaxAge < 5*time.Second || c.MaxAge > time.Hour:
		return fmt.Errorf("GATEHOUSE_AUTH_KEY_MAX_AGE is %s: set it to 5s to 1h", c.MaxAge)
	case c.Interval < notice:
		return fmt.Errorf("GATEHOUSE_AUTH_KEY_ROTATION_INTERVAL is %s: with a max age of %s a new key is known everywhere after %s, so set it to that or more",
			c.Interval, c.MaxAge, notice)
	}
	return nil
}

func (c Config) policy() signingkey.Policy {
	return signingkey.Policy{Purpose: signingkey.ForAccess, Algorithm: c.Keys.Algorithm, MaxAge: c.Keys.MaxAge, Interval: c.Keys.Interval}
}

// minBrowserIdle is longer than an access token lasts, so that a client that is used keeps its
// browser session.
const minBrowserIdle = 15 * time.Minute

// SessionsConfig is the option group of sessions.
type SessionsConfig struct {
	AccessTTL time.Duration `name:"auth-access-token-ttl" env:"GATEHOUSE_AUTH_ACCESS_TOKEN_TTL" default:"10m" help:"Lifetime of an access token, 10m at most."`
	Lifetime  time.Duration `name:"auth-session-lifetime" env:"GATEHOUSE_AUTH_SESSION_LIFETIME" default:"720h" help:"Lifetime of a session however busy, 720h (30 days) at most."`
	Idle      time.Duration `name:"auth-session-idle" env:"GATEHOUSE_AUTH_SESSION_IDLE" default:"168h" help:"How long a session lasts without a refresh."`

	BrowserLifetime time.Duration `name:"auth-browser-session-lifetime" env:"GATEHOUSE_AUTH_BROWSER_SESSION_LIFETIME" default:"720h" help:"Lifetime of a browser session however busy, 720h (30 days) at most."`
	BrowserIdle     time.Duration `name:"auth-browser-session-idle" env:"GATEHOUSE_AUTH_BROWSER_SESSION_IDLE" default:"168h" help:"How long a browser session lasts while neither the browser nor a client of it is seen, 15m at least."`
}

// Validate reports contradictions.
func (c SessionsConfig) Validate() error {
	switch {
	case c.AccessTTL < time.Second || c.AccessTTL > token.MaxTTL:
		return fmt.Errorf("GATEHOUSE_AUTH_ACCESS_TOKEN_TTL is %s: set it to 1s to %s", c.AccessTTL, token.MaxTTL)
	case c.Lifetime < time.Minute || c.Lifetime > session.MaxLifetime:
		return fmt.Errorf("GATEHOUSE_AUTH_SESSION_LIFETIME is %s: set it to 1m to %s", c.Lifetime, session.MaxLifetime)
	case c.Idle > c.Lifetime:
		return fmt.Errorf("GATEHOUSE_AUTH_SESSION_IDLE is %s, longer than GATEHOUSE_AUTH_SESSION_LIFETIME (%s): shorten it", c.Idle, c.Lifetime)
	case c.BrowserLifetime < minBrowserIdle || c.BrowserLifetime > session.MaxLifetime:
		return fmt.Errorf("GATEHOUSE_AUTH_BROWSER_SESSION_LIFETIME is %s: set it to %s to %s", c.BrowserLifetime, minBrowserIdle, session.MaxLifetime)
	case c.BrowserIdle < minBrowserIdle || c.BrowserIdle > c.BrowserLifetime:
		return fmt.Errorf("GATEHOUSE_AUTH_BROWSER_SESSION_IDLE is %s: set it to %s to GATEHOUSE_AUTH_BROWSER_SESSION_LIFETIME (%s)",
			c.BrowserIdle, minBrowserIdle, c.BrowserLifetime)
	}
	return nil
}

func (c Config) session() session.Config {
	return session.Config{
		Issuer: c.Kernel.Token.Issuer, Audience: c.Kernel.Token.Audience,
		AccessTTL: c.Sessions.AccessTTL, Lifetime: c.Sessions.Lifetime, Idle: c.Sessions.Idle,
		BrowserIdle: c.Sessions.BrowserIdle,
	}
}

func (c Config) browsers() session.BrowserConfig {
	return session.BrowserConfig{Lifetime: c.Sessions.BrowserLifetime, Idle: c.Sessions.BrowserIdle}
}

// PasswordConfig is the option group of password hashing.
type PasswordConfig struct {
	Memory  uint32 `name:"auth-password-memory" env:"GATEHOUSE_AUTH_PASSWORD_MEMORY" default:"19456" help:"Memory of one argon2id hash in KiB."`
	Time    uint32 `name:"auth-password-time" env:"GATEHOUSE_AUTH_PASSWORD_TIME" default:"2" help:"Passes of one argon2id hash."`
	Threads uint8  `name:"auth-password-threads" env:"GATEHOUSE_AUTH_PASSWORD_THREADS" default:"1" help:"Threads of one argon2id hash."`
	Workers int    `name:"auth-password-workers" env:"GATEHOUSE_AUTH_PASSWORD_WORKERS" default:"0" help:"Hashes at the same time; 0 means one for each core."`
	Queue   int    `name:"auth-password-queue" env:"GATEHOUSE_AUTH_PASSWORD_QUEUE" default:"100" help:"Hashes that may wait; beyond that sign-ins are answered 429."`

	FailureBudget int `name:"auth-failure-budget" env:"GATEHOUSE_AUTH_FAILURE_BUDGET" default:"300" help:"Refused sign-ins of the whole platform in five minutes; beyond that only known devices, and addresses from which nothing failed of late, may sign in."`

	BreachedFile string `name:"auth-password-breached-file" env:"GATEHOUSE_AUTH_PASSWORD_BREACHED_FILE" placeholder:"PATH" help:"Sorted file of breached passwords, the SHA-1 of one in hexadecimal on each line, as Have I Been Pwned publishes it; new passwords must not be in it. Without one, only common passwords are refused."`
}

// Validate reports contradictions.
func (c PasswordConfig) Validate() error {
	if err := c.parameters().Validate(); err != nil {
		return fmt.Errorf("GATEHOUSE_AUTH_PASSWORD_MEMORY, _TIME, _THREADS: %w", err)
	}
	if c.FailureBudget < 1 {
		return fmt.Errorf("GATEHOUSE_AUTH_FAILURE_BUDGET is %d: set it to 1 or more", c.FailureBudget)
	}
	if c.Workers < 0 || c.Queue < 0 {
		return errors.New("GATEHOUSE_AUTH_PASSWORD_WORKERS and GATEHOUSE_AUTH_PASSWORD_QUEUE must not be negative")
	}
	return nil
}

// workers is how many hashes are made at a time.
func (c PasswordConfig) workers() int {
	if c.Workers == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return c.Workers
}

func (c PasswordConfig) parameters() password.Parameters {
	return password.Parameters{Memory: c.Memory, Time: c.Time, Threads: c.Threads}
}

// SignUpsConfig is the option group of sign-ups.
type SignUpsConfig struct {
	Where string `name:"auth-sign-up" env:"GATEHOUSE_AUTH_SIGN_UP" default:"closed" help:"Where people may sign up: open (on the page /sign-up and over the API), pages (on the page alone) or closed. The bootstrap is none. gatehouse up says open unless you set it."`
}

// Validate reports contradictions.
func (c SignUpsConfig) Validate() error {
	switch login.SignUps(c.Where) {
	case login.SignUpsOpen, login.SignUpsOnPages, login.SignUpsClosed:
		return nil
	}
	return fmt.Errorf("GATEHOUSE_AUTH_SIGN_UP is %q: set it to %s, %s or %s", c.Where, login.SignUpsOpen, login.SignUpsOnPages, login.SignUpsClosed)
}

// Length of the bootstrap secret in bytes. The most is what a request may carry.
const minBootstrapSecret, maxBootstrapSecret = 32, 256

// BootstrapConfig is the option group of the first administrator.
type BootstrapConfig struct {
	Secret config.Secret `name:"auth-bootstrap-secret" env:"GATEHOUSE_AUTH_BOOTSTRAP_SECRET" placeholder:"SECRET" help:"Secret that is exchanged once for the first administrator, 32 bytes or more; without one there is none. Prefer the _FILE variable: a command line is public."`
}

// Validate reports contradictions.
func (c BootstrapConfig) Validate() error {
	if n := len(c.Secret.Reveal()); n > 0 && (n < minBootstrapSecret || n > maxBootstrapSecret) {
		return fmt.Errorf("GATEHOUSE_AUTH_BOOTSTRAP_SECRET has %d bytes: make one of %d to %d by `(umask 077; head -c 32 /dev/urandom | base64 > bootstrap.secret)`",
			n, minBootstrapSecret, maxBootstrapSecret)
	}
	return nil
}

// MigrateConfig is everything that `auth migrate` can be told.
type MigrateConfig struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}
