package api

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

// LogService serves gatehouse.audit.v1.LogService: how people have the trail proven to them.
type LogService struct {
	auditv1.UnsafeLogServiceServer
	log         *ledger.Service
	permissions access.Permissions
}

// NewLogService returns the handlers over the domain. The permissions say who may read what is
// proven.
func NewLogService(log *ledger.Service, permissions access.Permissions) *LogService {
	return &LogService{log: log, permissions: permissions}
}

// GetCheckpoint returns the newest signed checkpoint.
func (s *LogService) GetCheckpoint(ctx context.Context, _ *auditv1.GetCheckpointRequest) (*auditv1.GetCheckpointResponse, error) {
	note, verifiers, err := s.log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return &auditv1.GetCheckpointResponse{Checkpoint: note, VerifierKeys: verifiers}, nil
}

// GetConsistencyProof returns the proof that one tree is the beginning of another.
func (s *LogService) GetConsistencyProof(ctx context.Context, r *auditv1.GetConsistencyProofRequest) (*auditv1.GetConsistencyProofResponse, error) {
	proof, second, err := s.log.Consistency(ctx, r.GetFirstSize(), r.GetSecondSize())
	if err != nil {
		return nil, err
	}
	return &auditv1.GetConsistencyProofResponse{Hashes: hashes(proof), SecondSize: second}, nil
}

// ReopenLog begins the next origin of the log.
func (s *LogService) ReopenLog(ctx context.Context, r *auditv1.ReopenLogRequest) (*auditv1.ReopenLogResponse, error) {
	next, err := s.log.Reopen(ctx, r.GetReason(), event.FromContext(ctx))
	if err != nil {
		return nil, err
	}
	return &auditv1.ReopenLogResponse{Origin: next.Origin, Checkpoint: next.Note, LostEvents: auditlog.CountSpans(next.Lost)}, nil
}

// hashes of a proof as bytes.
func hashes(proof []tlog.Hash) [][]byte {
	all := make([][]byte, len(proof))
	for i, h := range proof {
		all[i] = h[:]
	}
	return all
}
