package grpctest

import (
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/google/uuid"

	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// Door opens the server's REST door and returns its URL; drain ends its streams. It closes with the
// test.
func (s *Server) Door() (url string, drain func()) {
	s.t.Helper()
	door := s.door()
	web := httptest.NewServer(door)
	s.t.Cleanup(func() {
		door.Drain()
		web.Close()
	})
	return web.URL, door.Drain
}

// DoorHandler is the server's REST door without a port.
func (s *Server) DoorHandler() http.Handler {
	s.t.Helper()
	return s.door()
}

func (s *Server) door() *grpcserver.Door {
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
	s.t.Cleanup(func() {
		if err := door.Close(); err != nil {
			s.t.Errorf("close the door: %v", err)
		}
		serving.Wait()
	})
	return door
}
