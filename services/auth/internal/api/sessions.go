package api

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/resource"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// SessionService implements gatehouse.auth.v1.SessionService.
type SessionService struct {
	authv1.UnimplementedSessionServiceServer
	logins   *login.Service
	overview *session.Overview
}

// NewSessionService returns the service that shows and ends sessions.
func NewSessionService(logins *login.Service, overview *session.Overview) *SessionService {
	return &SessionService{logins: logins, overview: overview}
}

// caller is who asks.
func caller(ctx context.Context) (request.Subject, error) {
	c, _ := request.CallerFrom(ctx)
	if c.Subject == nil { // no contract of these methods is public: the interceptor must have put it here
		return request.Subject{}, apierr.InvalidToken().Saying("sign in first")
	}
	return *c.Subject, nil
}

func personOf(s request.Subject) session.Person {
	return session.Person{UserID: s.UserID, OrganizationID: s.OrganizationID}
}

// person is a user by the id, who is told of what happens to their sessions unless it is who asks;
// one without a login has no sessions either.
func (s *SessionService) person(ctx context.Context, userID string) (session.Person, error) {
	who, err := caller(ctx)
	if err != nil {
		return session.Person{}, err
	}
	l, err := s.logins.ByUser(ctx, userID)
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return session.Person{}, err
	}
	p := session.Person{UserID: userID, OrganizationID: l.OrganizationID, Told: l.Email, Language: l.Language}
	if userID == who.UserID {
		p.Told = ""
	}
	return p, nil
}

// page lists a page of a user's sessions, of which that of the request is the current one.
func (s *SessionService) page(ctx context.Context, userID string, size int32, token string) (list []*authv1.Session, next string, err error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, "", err
	}
	scope := []string{"sessions", userID}
	after, err := resource.ParsePageToken(token, scope...)
	if err != nil {
		return nil, "", err
	}
	entries, end, err := s.overview.List(ctx, userID, resource.Query{After: after, Limit: int(size)})
	if err != nil {
		return nil, "", err
	}
	list = make([]*authv1.Session, 0, len(entries))
	for _, e := range entries {
		list = append(list, sessionMessage(e, who.SessionID))
	}
	next, err = resource.PageToken(end, scope...)
	return list, next, err
}

func sessionMessage(e session.Entry, current string) *authv1.Session {
	m := &authv1.Session{
		Id: e.ID, Browser: e.Browser, Current: e.Has(current), Address: e.From.Address, UserAgent: e.From.Agent,
		CreateTime: timestamppb.New(e.CreateTime), SeenTime: timestamppb.New(e.SeenTime), ExpireTime: timestamppb.New(e.ExpireTime),
	}
	for _, c := range e.Clients {
		m.Clients = append(m.Clients, &authv1.ClientSession{
			Id: c.ID, ClientId: c.ClientID, ClientName: c.ClientName, Current: c.ID == current,
			CreateTime: timestamppb.New(c.CreateTime), SeenTime: timestamppb.New(c.SeenTime), ExpireTime: timestamppb.New(c.ExpireTime),
		})
	}
	return m
}
