package api

import (
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// recorder keeps what is sent.
type recorder struct {
	grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]
	sent []*authv1.WatchRevocationsResponse
}

func (r *recorder) Send(m *authv1.WatchRevocationsResponse) error {
	r.sent = append(r.sent, m)
	return nil
}

// A large set goes out in several messages that fit, and only the last one says complete.
func TestSendRevocationsInParts(t *testing.T) {
	for size, messages := range map[int]int{0: 1, 1: 1, mostRevocations: 1, mostRevocations + 1: 2, 2*mostRevocations + 7: 3} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			update := make(session.Update, size)
			for i := range update {
				update[i].SessionID = "0b7c1c3e-5a52-4a52-9f52-" + strconv.Itoa(100_000_000_000+i)
			}
			r := &recorder{}
			if err := sendRevocations(r, update); err != nil || len(r.sent) != messages {
				t.Fatalf("%d messages, %v; want %d", len(r.sent), err, messages)
			}
			next := 0
			for i, m := range r.sent {
				if m.GetComplete() != (i == messages-1) {
					t.Errorf("message %d of %d says complete: %v", i+1, messages, m.GetComplete())
				}
				if n := proto.Size(m); n > 4<<20 {
					t.Errorf("message %d has %d bytes", i+1, n)
				}
				for _, got := range m.GetRevocations() {
					if got.GetSessionId() != update[next].SessionID {
						t.Fatalf("session %d is %s, want %s", next, got.GetSessionId(), update[next].SessionID)
					}
					next++
				}
			}
			if next != size {
				t.Errorf("%d sessions were sent, want %d", next, size)
			}
		})
	}
}
