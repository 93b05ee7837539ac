package rest

import (
	"context"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
)

// ConsistencyToken is the header of the token that a write answers with, and that a later request sends to see that write (R63).
const ConsistencyToken = "Gatehouse-Consistency-Token"

// incoming lets the consistency token become metadata, and no other header.
func incoming(header string) (string, bool) {
	return request.ConsistencyHeader, header == ConsistencyToken
}

// checkConsistency refuses a token that is none: one that got lost on the way would be answered with an older state.
func checkConsistency(h http.Header) *apierr.Error {
	values := h[ConsistencyToken]
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 {
		return invalidToken("must be sent once")
	}
	if _, err := request.ParseToken(values[0]); err != nil {
		return invalidToken("must be the header of a response, unchanged")
	}
	return nil
}

func invalidToken(description string) *apierr.Error {
	return apierr.InvalidConsistencyToken().Saying("the consistency token cannot be understood").
		WithField(ConsistencyToken, "consistency_token", description)
}

// setConsistency sends on the token of what the request wrote.
func setConsistency(ctx context.Context, h http.Header) {
	md, ok := runtime.ServerMetadataFromContext(ctx)
	if !ok {
		return
	}
	if values := md.TrailerMD.Get(request.ConsistencyHeader); len(values) > 0 {
		h.Set(ConsistencyToken, values[0])
	}
}
