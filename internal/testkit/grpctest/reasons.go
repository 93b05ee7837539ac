package grpctest

import (
	"slices"

	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
)

// stated fails the test where a method that clients reach refuses with a reason that its contract
// does not state: they read in the API document what they have to reckon with. What is nobody's
// mistake (5xx), and what only programs are told, is not stated.
func (s *Server) stated(method string, err error) {
	m, ok := s.contract.Method(method)
	if err == nil || !ok || m.Route == nil {
		return
	}
	e := rpcstatus.ToError(status.Convert(err))
	programs := e.Is(apierr.CallerUnknown()) || e.Is(apierr.CallerNotAdmitted()) || e.Is(apierr.MethodNotDeclared()) || e.Is(apierr.RequestTooLarge())
	if e.Status() >= 499 || programs {
		return
	}
	if !slices.ContainsFunc(s.contract.Refusals(m), func(r contract.Reason) bool { return r.Name == e.Reason && r.Kind == e.Kind }) {
		s.t.Errorf("%s refuses with %s, which its contract does not state: add it to the method's reasons, for the API document", method, e.Reason)
	}
}
