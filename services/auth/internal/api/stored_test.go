package api_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// A pending login that was stored before is completed, and what is recorded names the request that
// made it; one from before events were kept names what is known of it.
func TestPendingLoginsOfBefore(t *testing.T) {
	for name, event := range map[string]any{"interrupted": golden.Read(t, "login_event.json"), "without_event": nil} {
		t.Run(name, func(t *testing.T) {
			f := newFixed(t)
			_, err := f.Pool.Exec(t.Context(), `
				insert into auth.logins (user_id, email, password_hash, state, display_name, create_time, update_time, attempt_time, first_administrator, event)
				values (@id, 'bob@example.com', '-', 'pending', 'Bob', @now, @now, @now, false, @event)`,
				pgx.StrictNamedArgs{"id": "99999999-9999-4999-8999-999999999999", "now": f.now, "event": event})
			if err != nil {
				t.Fatal(err)
			}
			f.now = f.now.Add(time.Hour)
			if err := f.logins.Reconcile(t.Context()); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, name+".golden", outboxtest.Rows(t, f.Pool, "auth"))
		})
	}
}

// A sign-up that is completed later names the client that asked for it (R90).
func TestPendingLoginsKeepTheirClient(t *testing.T) {
	f := newFixed(t)
	f.identity.fail = apierr.New(apierr.Unavailable, "UPSTREAM_UNAVAILABLE", "down")
	people := authv1.NewAuthServiceClient(f.Through("gateway", "sign-up", request.ClientAddressHeader, "203.0.113.7", request.ClientAgentHeader, "curl/8.5.0"))
	_, err := people.SignUp(t.Context(), &authv1.SignUpRequest{Email: email, Password: pass})
	refused(t, err, codes.Unavailable, "IDENTITY_UNAVAILABLE")
	f.identity.fail = nil
	f.now = f.now.Add(time.Hour)
	if err := f.logins.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := f.Recorded(t)
	if len(events) != 1 || events[0].ClientAddress != "203.0.113.7" || events[0].ClientAgent != "curl/8.5.0" {
		t.Errorf("recorded %+v", events)
	}
}
