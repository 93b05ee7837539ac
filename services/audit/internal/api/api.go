// Package api serves Audit's contract (proto/gatehouse/audit/v1): it turns messages into calls of the domain and answers into messages,
// one file per RPC.
//
// The gRPC server has already verified who calls, whether they may, and the field rules of the request. Only the wiring and this
// service's tests import this package.
package api

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// IngestService serves gatehouse.audit.v1.IngestService: how programs hand their events over.
type IngestService struct {
	auditv1.UnsafeIngestServiceServer // a forgotten method does not compile
	writer                            *trail.Writer
	log                               *slog.Logger
}

// NewIngestService returns the handler over the writer.
func NewIngestService(writer *trail.Writer, log *slog.Logger) *IngestService {
	return &IngestService{writer: writer, log: log}
}

// AuditService serves gatehouse.audit.v1.AuditService: how people read the trail.
type AuditService struct {
	auditv1.UnsafeAuditServiceServer
	trail *trail.Service
	seal  *resource.Seal
}

// NewAuditService returns the handlers over the domain.
func NewAuditService(t *trail.Service, keys resource.Keys) *AuditService {
	return &AuditService{trail: t, seal: resource.NewSeal(keys)}
}

// filtered is what both requests say about the events.
type filtered interface {
	GetActorId() string
	GetObjectType() string
	GetObjectId() string
	GetOrganizationId() string
	GetAction() string
	GetOutcome() string
	GetSearch() string
	GetStartTime() *timestamppb.Timestamp
}

// filter reads the fields that both requests have.
func filter(ctx context.Context, r filtered) (trail.Filter, error) {
	f := trail.Filter{
		ActorID: r.GetActorId(), ObjectType: r.GetObjectType(), ObjectID: r.GetObjectId(), OrganizationID: r.GetOrganizationId(),
		Action: r.GetAction(), Outcome: event.Outcome(r.GetOutcome()),
	}
	f.By = readerOf(ctx).admittedBy(f)
	for field, value := range map[string]string{
		"actor_id": f.ActorID, "object_type": f.ObjectType, "object_id": f.ObjectID, "action": f.Action,
	} {
		if err := text(field, value); err != nil {
			return f, err
		}
	}
	if f.Search = trail.Terms(r.GetSearch()); len(f.Search) == 0 && r.GetSearch() != "" {
		return f, invalid("search", "search", "must have a letter or a digit")
	}
	var err error
	f.Since, err = at("start_time", r.GetStartTime())
	return f, err
}

// text refuses what PostgreSQL does not take for a text. No event has it.
func text(field, value string) error {
	if strings.ContainsRune(value, 0) {
		return invalid(field, "string.pattern", "must not hold the character U+0000")
	}
	return nil
}

// at reads an optional time.
func at(field string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, invalid(field, "timestamp", "must be a time of the years 1 to 9999")
	}
	return t.AsTime(), nil
}

func invalid(field, rule, description string) error {
	return apierr.InvalidArgumentError().WithField(field, rule, description)
}
