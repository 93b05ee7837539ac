package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
)

// syslogTimeout is the longest that a server may take for a batch.
const syslogTimeout = 30 * time.Second

// auditFacility is "log audit" (RFC 5424, section 6.2.1).
const auditFacility = 13

// Syslog is a server of RFC 5424 over TLS (RFC 5425) as a receiver.
//
// The protocol has no acknowledgement. So each batch has a connection of its own: we say that
// nothing more comes (close_notify), and wait until the server closes too. A server that died, or
// closed while it had not read everything, ends the connection in another way, and gets the batch
// again. What it does with what it has read nobody tells us.
type Syslog struct {
	Address string // host and port
	TLS     *tls.Config
	Host    string // the HOSTNAME of the messages; "" is none
}

// Deliver sends the batch.
func (s *Syslog) Deliver(ctx context.Context, b Batch) error {
	text, err := s.frames(b)
	if err != nil {
		return Final(err)
	}
	ctx, cancel := context.WithTimeout(ctx, syslogTimeout)
	defer cancel()
	dialer := &tls.Dialer{Config: s.TLS}
	connection, err := dialer.DialContext(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("reach the syslog server: %w", err)
	}
	defer func() { _ = connection.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = connection.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := connection.Write(text); err != nil {
		return fmt.Errorf("send to the syslog server %s: %w", s.Address, err)
	}
	return s.taken(connection)
}

// taken waits until the server has read everything.
func (s *Syslog) taken(connection net.Conn) error {
	secure, ok := connection.(*tls.Conn)
	if !ok {
		return errors.New("the connection to the syslog server is not TLS")
	}
	if err := secure.CloseWrite(); err != nil {
		return fmt.Errorf("end the messages to the syslog server %s: %w", s.Address, err)
	}
	switch n, err := secure.Read(make([]byte, 1)); {
	case n > 0:
		return fmt.Errorf("the server %s answers, which no syslog server does", s.Address)
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("the syslog server %s did not take everything: %w", s.Address, err)
	default:
		return nil
	}
}

// frames are the messages with their lengths before them (RFC 5425, section 4.3).
func (s *Syslog) frames(b Batch) ([]byte, error) {
	var text bytes.Buffer
	for i, e := range b.Events {
		message, err := s.message(e, b.First+int64(i), bytes.TrimSuffix(b.Lines[i], []byte("\n")))
		if err != nil {
			return nil, fmt.Errorf("write the event %s as a syslog message: %w", e.ID, err)
		}
		text.WriteString(strconv.Itoa(len(message)))
		text.WriteByte(' ')
		text.WriteString(message)
	}
	return text.Bytes(), nil
}

// message is one event: its action is the message id, its number in the export the sequence id,
// from 1 to 2147483647 and around (RFC 5424, section 7.3.1).
func (s *Syslog) message(e format.Event, number int64, line []byte) (string, error) {
	m := &rfc5424.SyslogMessage{}
	m.SetPriority(auditFacility*8 + severity(e.Outcome))
	m.SetVersion(1)
	m.SetTimestamp(e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"))
	if s.Host != "" {
		m.SetHostname(s.Host)
	}
	m.SetAppname("gatehouse")
	m.SetMsgID(e.Action[:min(len(e.Action), 32)])
	m.SetParameter("meta", "sequenceId", strconv.FormatInt((number-1)%(1<<31-1)+1, 10))
	m.SetMessage(string(line))
	return m.String()
}

// severity is informational for what succeeded, notice for what did not work, warning for what was
// denied (RFC 5424, section 6.2.1).
func severity(outcome string) uint8 {
	switch outcome {
	case "success":
		return 6
	case "denied":
		return 4
	default:
		return 5
	}
}

// SyslogOverhead is more than what a message has beside its line, in bytes.
const SyslogOverhead = 512
