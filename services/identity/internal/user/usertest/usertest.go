// Package usertest is the conformance suite of the user stores: what every implementation of user.Store and user.DeletionStore must do.
//
// Tests of implementations import it and run it over the real thing.
package usertest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization/organizationtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Stores are an implementation over one empty database.
type Stores struct {
	Users         user.Store
	Deletions     user.DeletionStore
	Standings     user.StandingStore
	Invitations   user.InvitationStore
	Organizations organization.Store
}

// Run runs the suite. open is called for each test and returns stores over an empty database of its own.
func Run(t *testing.T, open func(t *testing.T) Stores) {
	tests := changes()
	maps.Copy(tests, deletions())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			plain := Plain{s.Users, s.Deletions}
			test(t, fixture{
				Users: plain, Deletions: plain, Standings: s.Standings, Invitations: s.Invitations, Organizations: organizationtest.Plain{Store: s.Organizations},
				ctx: event.NewContext(t.Context(), event.Own(t.Context(), "identity", "user.tested", "user")),
			})
		})
	}
}

// changes are the tests of what is there and changes.
func changes() map[string]func(t *testing.T, f fixture) {
	return map[string]func(t *testing.T, f fixture){
		"Create":                              testCreate,
		"CreateWithPersonalOrganization":      testCreatePersonal,
		"CreateWithTakenPersonalOrganization": testCreatePersonalTaken,
		"CreateInUnknownOrganization":         testCreateUnknownOrganization,
		"CreateWithTakenEmail":                testCreateTakenEmail,
		"CreateWithTakenEmailConcurrently":    testCreateTakenEmailConcurrently,
		"CreateAgain":                         testCreateAgain,
		"CreateAgainInAnotherOrganization":    testCreateAgainElsewhere,
		"CreateConcurrently":                  testCreateConcurrently,
		"CreateConcurrentlyInOrganization":    testCreateConcurrentlyInOrganization,
		"CreateKeepsAnyText":                  testCreateAnyText,
		"ImportStoresWhoseAddressIsFree":      testImport,
		"ImportAndDeletions":                  testImportAndDeletions,
		"ImportConcurrently":                  testImportConcurrently,
		"InvitationsAreDueUntilTold":          testInvitationDue,
		"InvitationRenewed":                   testInvitationRenewed,
		"InvitationClaimedOnce":               testInvitationClaimed,
		"InvitedUsersAreActivated":            testActivate,
		"ActivateBesideDeletion":              testActivateBesideDeletion,
		"QuotaOfPersonalOrganizations":        testQuota,
		"QuotaHoldsConcurrently":              testQuotaConcurrently,
		"QuotaAndDeletionsConcurrently":       testQuotaAndDeletions,
		"GetIsOfTheOrganization":              testTenancy,
		"Update":                              testUpdate,
		"UpdateRefused":                       testUpdateRefused,
		"UpdateWithoutChange":                 testUpdateUnchanged,
		"UpdateConcurrently":                  testUpdateConcurrently,
		"ListIsOldestFirstInPages":            testListPages,
		"ListIsOfTheOrganization":             testListTenancy,
		"EverywhereReachesAllOrganizations":   testEverywhere,
		"TheZeroScopeReachesNobody":           testNowhere,
		"ListByConditions":                    testListConditions,
		"ListRefusesOtherColumns":             testListUnknownColumn,
		"EachStateIsThere":                    testStatesAreThere,
		"EachStateKeepsAPersonalOrganization": testStatesKeepPersonal,
		"ListByState":                         testListByState,
		"StandingsAreToldUntilTheyWere":       testStandings,
		"StandingsOfInvitations":              testInvitationStanding,
		"StandingsThatDoNotChange":            testStandingsUnchanged,
		"StandingsOfDeletions":                testStandingsOfDeletions,
		"StandingsConcurrently":               testStandingsConcurrently,
		"SetEmailFollowsAuth":                 testSetEmail,
		"ListByEmailVerified":                 testListByEmailVerified,
	}
}

// deletions are the tests of how users go.
func deletions() map[string]func(t *testing.T, f fixture) {
	return map[string]func(t *testing.T, f fixture){
		"BeginDeleteHidesTheUser":              testBeginDelete,
		"BeginDeleteRefused":                   testBeginDeleteRefused,
		"BeginDeleteAgain":                     testBeginDeleteAgain,
		"BeginDeleteOfTheLast":                 testBeginDeleteOfTheLast,
		"ClaimIsExclusiveUntilDue":             testClaim,
		"ClaimConcurrently":                    testClaimConcurrently,
		"FinishDeleteRemovesPersonal":          testFinishDelete,
		"FinishDeleteKeepsSharedOrganization":  testFinishDeleteShared,
		"FinishDeleteKeepsPersonalWithMembers": testFinishDeletePersonalWithMembers,
		"FinishDeleteTogether":                 testFinishDeleteTogether,
		"FinishDeleteConcurrently":             testFinishDeleteConcurrently,
		"FinishDeleteKeepsActiveUsers":         testFinishDeleteActive,
		"FinishDeleteAgain":                    testFinishDeleteAgain,
		"DeletedStayDeleted":                   testDeletedStayDeleted,
		"DeletedStayDeletedConcurrently":       testDeletedStayDeletedConcurrently,
		"ForgetDeletedInBounds":                testForgetDeleted,
		"DeletedAreRefusedForAWhile":           testDeletedAreRefusedForAWhile,
	}
}

// fixture is one test's stores with short ways to fill and read them.
type fixture struct {
	Users, Deletions Plain
	Standings        user.StandingStore
	Invitations      user.InvitationStore
	Organizations    organizationtest.Plain
	ctx              context.Context // one test's context, with the event of a request
}

// epoch is when the suite's rows are created: with microseconds, in another year than any clock says.
func epoch() time.Time { return time.Date(2031, 2, 3, 4, 5, 6, 789012000, time.UTC) }

// newUser describes a user that is not stored yet.
func newUser(organizationID string) user.User {
	id := uuid.NewString()
	return user.User{
		OrganizationID: organizationID, ID: id, Email: id + "@example.com", DisplayName: "Ada", State: user.Active, Revision: 1,
		CreateTime: epoch(), UpdateTime: epoch(),
	}
}

// event is the event of a request.
func (f fixture) event() event.Event { return event.FromContext(f.ctx) }

func (f fixture) organization(t *testing.T) organization.Organization {
	t.Helper()
	o := organization.Organization{ID: uuid.NewString(), DisplayName: "Analytical", Revision: 1, CreateTime: epoch(), UpdateTime: epoch()}
	stored, _, err := f.Organizations.Create(f.ctx, o)
	check.NoError(t, err)
	return stored
}

// stored creates a user in the organization.
func (f fixture) stored(t *testing.T, organizationID string, edit ...func(*user.User)) user.User {
	t.Helper()
	u := newUser(organizationID)
	for _, e := range edit {
		e(&u)
	}
	stored, _, err := f.Users.Create(f.ctx, u, nil)
	check.NoError(t, err)
	return stored
}

// personal creates a user with a personal organization.
func (f fixture) personal(t *testing.T) user.User {
	t.Helper()
	o := organization.NewPersonal(uuid.NewString(), "Ada", epoch())
	stored, _, err := f.Users.Create(f.ctx, newUser(o.ID), &o)
	check.NoError(t, err)
	return stored
}

func (f fixture) wantGone(t *testing.T, u user.User) {
	t.Helper()
	_, err := f.Users.Get(f.ctx, user.In(u.OrganizationID), u.ID)
	wantError(t, err, user.NotFound())
}

func (f fixture) wantStored(t *testing.T, want user.User) {
	t.Helper()
	got, err := f.Users.Get(f.ctx, user.In(want.OrganizationID), want.ID)
	check.NoError(t, err)
	if got != want {
		t.Fatalf("stored is\n%+v, want\n%+v", got, want)
	}
}

// wantError fails unless err is the same error of the closed set, to the letter: a different text would tell callers apart what must
// look the same.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	var got *apierr.Error
	if !errors.As(err, &got) || !errors.Is(err, want) || got.Message != apierr.From(want).Message {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// isOneOf reports whether err is one of these answers.
func isOneOf(err error, answers ...error) bool {
	return slices.ContainsFunc(answers, func(a error) bool { return errors.Is(err, a) })
}
