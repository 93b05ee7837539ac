package gatewaytest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/test/conformance"
)

func TestUsersAnswerAsIdentity(t *testing.T) {
	users, grants := NewUsers(), grpctest.NewGrants()
	conformance.Users{
		Grants: grants,
		Server: grpctest.New(t, grpctest.Config{Program: "identity", Permissions: grants, Registrations: []grpcserver.Registration{
			{Desc: &identityv1.UserService_ServiceDesc, Impl: users},
		}}),
		SignUp: func(_ testing.TB, email string) *identityv1.User { return users.Get(users.Add(email, "Ada")) },
	}.Run(t)
}

func TestAuthAnswersAsAuth(t *testing.T) {
	tokens := grpctest.NewTokens(t, time.Now)
	auth := NewAuth(tokens)
	auth.users = NewUsers()
	conformance.Auth{
		Server: grpctest.New(t, grpctest.Config{Program: "auth", Tokens: tokens, Registrations: []grpcserver.Registration{
			{Desc: &authv1.AuthService_ServiceDesc, Impl: auth},
			{Desc: &authv1.VerificationService_ServiceDesc, Impl: auth},
		}}),
		Read: func() {}, // it looks by itself
	}.Run(t)
}

func TestAuditAnswersAsAudit(t *testing.T) {
	audit, grants := NewAudit(), grpctest.NewGrants()
	conformance.Audit{
		Grants: grants,
		Server: grpctest.New(t, grpctest.Config{Program: "audit", Permissions: grants, Registrations: []grpcserver.Registration{
			{Desc: &auditv1.AuditService_ServiceDesc, Impl: audit},
		}}),
		Add: func(_ testing.TB, actorID string) string {
			id := uuid.NewString()
			audit.Add(&auditv1.Event{Id: id, Actor: &auditv1.Actor{Id: actorID}})
			return id
		},
	}.Run(t)
}

func TestRelationshipsAnswerAsAuthz(t *testing.T) {
	grants := grpctest.NewGrants()
	grants.Allow("administrator", "can_manage_relationships", "platform:gatehouse")
	conformance.Relationships{
		Administrator: "administrator",
		Server: grpctest.New(t, grpctest.Config{Program: "authz", Permissions: grants, Registrations: []grpcserver.Registration{
			{Desc: &authzv1.RelationshipService_ServiceDesc, Impl: &Relationships{}},
		}}),
	}.Run(t)
}
