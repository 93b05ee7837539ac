package fga

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	openfgav1 "github.com/openfga/api/proto/openfga/v1"
	"github.com/openfga/openfga/pkg/server"
	serverconfig "github.com/openfga/openfga/pkg/server/config"
	"github.com/openfga/openfga/pkg/storage"
	"google.golang.org/protobuf/proto"
)

// storeName is the name of the one store; its id is made once.
const storeName = "gatehouse"

// Limits of OpenFGA.
const (
	maxListed  = 1000 // objects or subjects of one list
	maxTuples  = 200  // 100 written and 100 deleted
	cacheSize  = 100  // models and graphs of models: there is one of each, two during a rolling deploy
	listBudget = 30 * time.Second
)

// newServer starts OpenFGA. The cache holds the graph of the model; without it the weighted algorithm would build the graph in every
// check. Answers are cached nowhere: OpenFGA's query cache answers stale.
func newServer(ds storage.OpenFGADatastore, experimentals ...string) (*server.Server, error) {
	graphs, err := storage.NewInMemoryLRUCache(storage.WithMaxCacheSize[any](cacheSize))
	if err != nil {
		return nil, fmt.Errorf("make the cache of model graphs: %w", err)
	}
	s, err := server.NewServerWithOpts(
		server.WithDatastore(ds),
		server.WithExperimentals(experimentals...),
		server.WithCheckCache(graphs),
		server.WithAuthorizationModelCacheSize(cacheSize),
		server.WithTypesystemCacheSize(cacheSize),
		server.WithListObjectsMaxResults(maxListed),
		server.WithListUsersMaxResults(maxListed),
		// At its deadline OpenFGA answers with what it has found so far, as if that were all: Engine.list ends a list before.
		server.WithListObjectsDeadline(2*listBudget),
		server.WithListUsersDeadline(2*listBudget),
	)
	if err != nil {
		return nil, fmt.Errorf("start OpenFGA: %w", err)
	}
	return s, nil
}

// load opens OpenFGA on the store and the model that Migrate wrote.
func load(ctx context.Context, pool *pgxpool.Pool, model *openfgav1.AuthorizationModel) (*loaded, error) {
	ds, err := newDatastore(pool)
	if err != nil {
		return nil, err
	}
	store, id, err := find(ctx, ds, model)
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, outdated(errors.New("the authorization model of this program is not there"))
	}
	s, err := newServer(ds, serverconfig.ExperimentalWeightedGraphCheck)
	if err != nil {
		return nil, err
	}
	return &loaded{server: s, store: store, model: id}, nil
}

// find looks for the store and for a model in it that equals the given one; "" is what does not exist. Programs of two versions that
// run side by side each find their own model over the same tuples.
func find(ctx context.Context, ds storage.OpenFGADatastore, model *openfgav1.AuthorizationModel) (store, id string, err error) {
	stores, _, err := ds.ListStores(ctx, storage.ListStoresOptions{Name: storeName, Pagination: storage.NewPaginationOptions(1, "")})
	if err != nil || len(stores) == 0 {
		return "", "", err
	}
	store = stores[0].GetId()
	for page := ""; ; {
		models, next, err := ds.ReadAuthorizationModels(ctx, store, storage.ReadAuthorizationModelsOptions{Pagination: storage.NewPaginationOptions(50, page)})
		if err != nil {
			return "", "", err
		}
		for _, m := range models {
			if same(m, model) {
				return store, m.GetId(), nil
			}
		}
		if next == "" {
			return store, "", nil
		}
		page = next
	}
}

// same compares models without their ids.
func same(a, b *openfgav1.AuthorizationModel) bool {
	without := func(m *openfgav1.AuthorizationModel) *openfgav1.AuthorizationModel {
		c := proto.CloneOf(m)
		c.Id = ""
		return c
	}
	return proto.Equal(without(a), without(b))
}
