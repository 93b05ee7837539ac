package api

import (
	"google.golang.org/grpc"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

// ReadLog sends all leaves of the tree.
func (s *LogService) ReadLog(r *auditv1.ReadLogRequest, stream grpc.ServerStreamingServer[auditv1.ReadLogResponse]) error {
	err := s.log.Read(stream.Context(), r.GetStart(), r.GetSize(), func(checkpoints []string) error {
		return stream.Send(&auditv1.ReadLogResponse{Checkpoints: checkpoints})
	}, func(leaves []ledger.Leaf) error {
		m := &auditv1.ReadLogResponse{Leaves: make([]*auditv1.LogLeaf, len(leaves))}
		for i, l := range leaves {
			m.Leaves[i] = &auditv1.LogLeaf{Index: l.Index, Canonical: l.Canonical, Removed: l.Removed, Lost: l.Lost}
			if l.Hash != nil {
				m.Leaves[i].Hash = l.Hash[:]
			}
		}
		return stream.Send(m)
	})
	if err != nil {
		return err
	}
	return stream.Send(&auditv1.ReadLogResponse{End: true})
}
