package api

import (
	"context"
	"fmt"
	"slices"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

// GetEventProof returns an event as it is stored, and the proof that the tree has it. The right to
// proofs is not that to read: what lists keep from the caller is not told here (R90, R93).
func (s *LogService) GetEventProof(ctx context.Context, r *auditv1.GetEventProofRequest) (*auditv1.GetEventProofResponse, error) {
	p, err := s.log.Event(ctx, r.GetEventId(), r.GetTreeSize(), r.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	personal, err := s.tellable(ctx, p.Event)
	if err != nil {
		return nil, err
	}
	return &auditv1.GetEventProofResponse{
		LeafIndex: p.Position - 1, TreeSize: p.Size, Hashes: hashes(p.Proof), Canonical: p.Canonical, Personal: personal, Checkpoint: p.Note,
	}, nil
}

// tellable returns the personal values of an event that the caller may read. It refuses an event of
// before whose bytes name a session that the caller may not: without the bytes nothing is proven,
// and no part of them has the hash of the leaf.
func (s *LogService) tellable(ctx context.Context, stored ledger.Event) ([]*auditv1.PersonalValue, error) {
	e, err := event.Parse(stored.Canonical)
	if err != nil {
		return nil, fmt.Errorf("position %d of the trail: %w", stored.Position, err)
	}
	reads, err := s.reading(ctx, e)
	if err != nil {
		return nil, err
	}
	client := reads.all || readerOf(ctx).did(e)
	if e.Actor.SessionID != "" && !client {
		return nil, reason.SessionInBytes()
	}
	var told []*auditv1.PersonalValue
	for _, v := range stored.Personal {
		if reads.event && (client || !event.OfClient(v.Field)) {
			told = append(told, &auditv1.PersonalValue{Field: v.Field, Salt: v.Salt, Value: v.Value})
		}
	}
	return told, nil
}

// reads is what the right to read admits the caller to.
type reads struct {
	all   bool // the whole trail
	event bool // this event
}

// reading asks for the right to read an event. Who admitted the call says nothing of it.
func (s *LogService) reading(ctx context.Context, e event.Event) (reads, error) {
	const right, platform = "can_read_audit", "platform:gatehouse"
	asked := []access.Question{{Relation: right, Object: platform}}
	if e.OrganizationID != "" {
		asked = append(asked, access.Question{Relation: right, Object: relation.Organization(e.OrganizationID)})
	}
	answers, err := access.Ask(ctx, s.permissions, readerOf(ctx).userID, asked)
	if err != nil {
		return reads{}, err
	}
	return reads{all: answers[0], event: slices.Contains(answers, true)}, nil
}
