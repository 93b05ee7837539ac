// Package audit is Audit as every other program calls it: what happened is handed over to the
// trail.
//
// Wiring imports it, and the stores that record events.
package audit

import (
	"google.golang.org/grpc"

	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// Name is the mesh name of the program.
const Name = "audit"

// Ingest is the client of Audit's IngestService on a connection.
func Ingest(conn grpc.ClientConnInterface) auditv1.IngestServiceClient {
	return auditv1.NewIngestServiceClient(conn)
}
