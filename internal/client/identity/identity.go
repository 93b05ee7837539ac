// Package identity is Identity as Auth calls it: the directories of users and organizations.
//
// Only wiring imports it.
package identity

import (
	"google.golang.org/grpc"

	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// Name is the mesh name of the program.
const Name = "identity"

// Directory is the client of Identity's UserDirectoryService on a connection.
func Directory(conn grpc.ClientConnInterface) identityv1.UserDirectoryServiceClient {
	return identityv1.NewUserDirectoryServiceClient(conn)
}

// Organizations is the client of Identity's OrganizationDirectoryService on a connection.
func Organizations(conn grpc.ClientConnInterface) identityv1.OrganizationDirectoryServiceClient {
	return identityv1.NewOrganizationDirectoryServiceClient(conn)
}
