package httpserver

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A client that vanishes without a word, such as a phone without a network, is noticed within 30 s:
// an idle connection is probed, and one that acknowledges neither a probe nor data for too long is
// over. Without these limits data in flight holds a connection for about 15 minutes, and with it a
// request that is answered without end.
//
// The limit on data holds as well for a client that is there and acknowledges every probe but takes
// nothing (tcp(7)): a paused reader whose buffers are full is cut after 14 s. Streams give a client
// 10 s for a message; this cuts one too that no write waits for.
const (
	probeAfter = 10 * time.Second // of silence
	probeEvery = 4 * time.Second
	unanswered = 14 * time.Second // data may be sent just before probes would have ended it: 28 s in all
)

// listenConfig sets those limits. Accepted sockets inherit them from the listening one.
func listenConfig() *net.ListenConfig {
	return &net.ListenConfig{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery},
		Control: func(_, _ string, conn syscall.RawConn) error {
			var failed error
			err := conn.Control(func(fd uintptr) {
				failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered.Milliseconds()))
			})
			if err != nil {
				return err
			}
			return failed
		},
	}
}
