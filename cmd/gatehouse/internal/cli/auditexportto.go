package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
	"github.com/gatehouse/gatehouse/internal/config"
)

// exportTo says where events go.
type exportTo struct {
	File         string        `short:"o" name:"output" help:"File that is written, or - for standard output. It must be new, unless --resume goes on with it." placeholder:"FILE"`
	To           string        `help:"Receiver that gets what is stored, and what will be: webhook:URL, syslog:HOST:PORT (RFC 5424 over TLS) or s3:BUCKET/PREFIX." placeholder:"RECEIVER"`
	CA           string        `help:"File with the certificates that the receiver's is checked by; the system's when empty." placeholder:"FILE"`
	ClientCert   string        `help:"File with the certificate that a syslog server or webhook asks for." placeholder:"FILE"`
	ClientKey    string        `help:"File with its key." placeholder:"FILE"`
	AllowPrivate bool          `help:"Call a webhook on this machine or in a private network too."`
	MaxMessage   int           `default:"8192" help:"Longest syslog message that the server takes, in bytes; a longer event comes without raw_data."`
	S3Endpoint   string        `name:"s3-endpoint" help:"Address of the storage." placeholder:"URL"`
	S3Region     string        `name:"s3-region" default:"us-east-1" help:"Region of the bucket."`
	S3AccessKey  config.Secret `name:"s3-access-key" help:"Access key of the storage. Prefer the variable." env:"GATEHOUSE_CLI_S3_ACCESS_KEY" placeholder:"KEY"`
	S3SecretKey  config.Secret `name:"s3-secret-key" help:"Secret key of the storage. Prefer the variable." env:"GATEHOUSE_CLI_S3_SECRET_KEY" placeholder:"KEY"`
	Secret       config.Secret `name:"webhook-secret" help:"Secret that the webhook checks signatures with: whsec_ and 24 to 64 bytes in base64. Prefer the variable." env:"GATEHOUSE_CLI_WEBHOOK_SECRET" placeholder:"SECRET"`
}

// target names the receiver, for the state.
func (t *exportTo) target() string {
	if t.To != "" {
		return t.To
	}
	return "file:" + t.File
}

// receiver opens what gets the events, and says how one is written for it.
func (t *exportTo) receiver(console *Console, w format.Writer, state *export.State, fresh bool) (r export.Receiver, line func(format.Event) ([]byte, error), closed func(), err error) {
	closed, line = func() {}, w.Line
	kind, rest, _ := strings.Cut(t.To, ":")
	switch {
	case t.To == "" && t.File == "-":
		return export.Pipe{To: console.pipe(w.Header())}, line, closed, nil
	case t.To == "":
		f, err := export.OpenFile(t.File, w.Header(), state, fresh)
		if err != nil {
			return nil, nil, nil, err
		}
		return f, line, func() { _ = f.Close() }, nil
	case kind == "s3":
		r, err = t.s3(rest, w, state)
	case w.Name == format.CSV:
		err = errors.New("a table is for files and buckets: leave --format csv out")
	case kind == "webhook":
		r, err = t.webhook(console, rest, w)
	case kind == "syslog":
		line = func(e format.Event) ([]byte, error) { return w.Within(e, t.MaxMessage-export.SyslogOverhead) }
		r, err = t.syslog(rest)
	default:
		err = fmt.Errorf("--to is %q: write webhook:URL, syslog:HOST:PORT or s3:BUCKET/PREFIX", kind)
	}
	return r, line, closed, err
}

func (t *exportTo) webhook(console *Console, address string, w format.Writer) (export.Receiver, error) {
	secure, err := t.tls()
	if err != nil {
		return nil, err
	}
	return export.NewWebhook(export.WebhookParams{
		URL: address, Secret: t.Secret.Reveal(), TLS: secure, Private: t.AllowPrivate, List: w.Name == format.CloudEvents, Now: console.Now,
	})
}

func (t *exportTo) syslog(address string) (export.Receiver, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("the syslog server is %q: write syslog:HOST:PORT, such as syslog:logs.example.com:6514", address)
	}
	if t.MaxMessage < 2048 {
		return nil, fmt.Errorf("--max-message is %d: every server takes 2048 bytes (RFC 5425, section 4.3.1)", t.MaxMessage)
	}
	secure, err := t.tls()
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "" // RFC 5424 has a word for none
	}
	return &export.Syslog{Address: address, TLS: secure, Host: name}, nil
}

func (t *exportTo) s3(place string, w format.Writer, state *export.State) (export.Receiver, error) {
	secure, err := t.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	transport.TLSClientConfig = secure
	p := export.S3Params{
		Endpoint: t.S3Endpoint, Region: t.S3Region, AccessKey: t.S3AccessKey.Reveal(), SecretKey: t.S3SecretKey.Reveal(), Export: state.ID,
		Kind: "application/x-ndjson", Suffix: ".ndjson", Header: w.Header(), Transport: transport,
	}
	if w.Name == format.CSV {
		p.Kind, p.Suffix = "text/csv", ".csv"
	}
	p.Bucket, p.Prefix, _ = strings.Cut(place, "/")
	return export.NewS3(p)
}

// tls is what the receiver's certificate is checked by, and what we show.
func (t *exportTo) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		text, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("the certificates of --ca cannot be read: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate: name a PEM file with --ca", t.CA)
		}
	}
	if (t.ClientCert == "") != (t.ClientKey == "") {
		return nil, errors.New("--client-cert and --client-key go together: give both or none")
	}
	if t.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(t.ClientCert, t.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("the certificate of --client-cert cannot be used: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
