package main

import (
	"crypto/rand"
	"net/http"
	"sync"

	"golang.org/x/oauth2"
)

// Cookies that only this host can set, and no script reads. SameSite=Lax lets them come along when
// the issuer sends the browser back.
const (
	signInCookie  = "__Host-sign-in"
	sessionCookie = "__Host-session"
)

func cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// session is a browser in which somebody is signed in. Tokens never leave the server.
type session struct {
	person struct {
		Subject string `json:"sub"` // the key of a person; an address may change
		Email   string `json:"email"`
	}
	idToken string // shown when the person signs out

	// tokens refreshes one at a time, which matters: a refresh token works once, and using it twice
	// ends the session. Where an application has several instances, keep the tokens in its database
	// and refresh under a lock of the row.
	tokens oauth2.TokenSource
}

// sessions are kept in memory, and are gone with the process; an application has a database.
type sessions struct {
	mu   sync.Mutex
	byID map[string]*session
}

// begin keeps a session and returns what its cookie says.
func (s *sessions) begin(new *session) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]*session{}
	}
	id := rand.Text() // 128 random bits
	s.byID[id] = new
	return id
}

// of returns the session of a request, nil when nobody is signed in.
func (s *sessions) of(r *http.Request) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byID[idOf(r)]
}

// end forgets the session of a request and returns it.
func (s *sessions) end(r *http.Request) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byID[idOf(r)]
	delete(s.byID, idOf(r))
	return found
}

func idOf(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return c.Value
}
