package api

import (
	"context"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// GetKeySet returns the public signing keys.
func (s *VerificationService) GetKeySet(context.Context, *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	keys, maxAge, err := s.keys.Set()
	if err != nil {
		return nil, err
	}
	resp := &authv1.GetKeySetResponse{MaxAge: durationpb.New(maxAge)}
	for _, key := range keys {
		jwk, err := token.NewJWK(key)
		if err != nil {
			return nil, err
		}
		resp.Keys = append(resp.Keys, &authv1.JsonWebKey{
			Kty: jwk.KTY, Use: jwk.Use, Alg: jwk.Alg, Kid: jwk.KID, Crv: jwk.CRV, X: jwk.X, Y: jwk.Y,
		})
	}
	return resp, nil
}
