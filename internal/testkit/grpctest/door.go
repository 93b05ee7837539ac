package grpctest

import (
	"net/http/httptest"
	"sync"

	"github.com/google/uuid"
)

// Door opens the server's REST door and returns its URL; drain ends its streams. It closes with the
// test.
func (s *Server) Door() (url string, drain func()) {
	s.t.Helper()
	door, err := s.server.NewDoor(uuid.NewString)
	if err != nil {
		s.t.Fatalf("make the REST door: %v", err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := door.Serve(); err != nil {
			s.t.Errorf("serve the door's calls: %v", err)
		}
	})
	web := httptest.NewServer(door)
	s.t.Cleanup(func() {
		door.Drain()
		web.Close()
		if err := door.Close(); err != nil {
			s.t.Errorf("close the door: %v", err)
		}
		serving.Wait()
	})
	return web.URL, door.Drain
}
