// Package auth is Auth as every other program calls it: the keys and the ended sessions by which
// bearer tokens are verified, the removal of logins, and the web origins of OAuth clients.
//
// Only wiring imports it.
package auth

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// Name is the mesh name of the program.
const Name = "auth"

// Verification is the client of Auth's VerificationService on a connection.
func Verification(conn grpc.ClientConnInterface) authv1.VerificationServiceClient {
	return authv1.NewVerificationServiceClient(conn)
}

// Logins is the client of Auth's LoginService on a connection.
func Logins(conn grpc.ClientConnInterface) authv1.LoginServiceClient {
	return authv1.NewLoginServiceClient(conn)
}

// Invitations is the client of Auth's InvitationService on a connection.
func Invitations(conn grpc.ClientConnInterface) authv1.InvitationServiceClient {
	return authv1.NewInvitationServiceClient(conn)
}

// ClientDirectory is the client of Auth's ClientDirectoryService on a connection.
func ClientDirectory(conn grpc.ClientConnInterface) authv1.ClientDirectoryServiceClient {
	return authv1.NewClientDirectoryServiceClient(conn)
}

// KeySet fetches the issuer's keys by GetKeySet.
func KeySet(c authv1.VerificationServiceClient) token.Fetch {
	return func(ctx context.Context) (token.KeySet, error) {
		response, err := c.GetKeySet(ctx, &authv1.GetKeySetRequest{})
		if err != nil {
			return token.KeySet{}, fmt.Errorf("get key set: %w", err)
		}
		set := token.KeySet{MaxAge: response.GetMaxAge().AsDuration()}
		for _, k := range response.GetKeys() {
			set.Keys = append(set.Keys, token.JWK{
				KTY: k.GetKty(), Use: k.GetUse(), Alg: k.GetAlg(), KID: k.GetKid(), CRV: k.GetCrv(), X: k.GetX(), Y: k.GetY(),
			})
		}
		return set, nil
	}
}
