package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// Clients implements client.Store.
type Clients struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewClients returns the store of clients and their secrets.
func NewClients(pool *pgxpool.Pool, o *outbox.Outbox) *Clients {
	return &Clients{pool: pool, outbox: o}
}

// clientRow is a client with the columns of its secrets, which have one order.
type clientRow struct {
	ID                     string
	Name                   string
	Public                 bool
	RedirectURIs           []string `db:"redirect_uris"`
	PostLogoutRedirectURIs []string `db:"post_logout_redirect_uris"`
	WebOrigins             []string
	Audiences              []string
	Scopes                 []string
	IDTokenAlgorithm       string `db:"id_token_algorithm"`
	RequireVerifiedEmail   bool
	Revision               int64
	CreateTime             time.Time
	UpdateTime             time.Time
	SecretIDs              []string `db:"secret_ids"`
	SecretHashes           [][]byte
	SecretTimes            []time.Time
}

func (r clientRow) client() client.Client {
	secrets := make([]client.Secret, len(r.SecretIDs))
	for i, id := range r.SecretIDs {
		secrets[i] = client.Secret{ID: id, Hash: [sha256.Size]byte(r.SecretHashes[i]), CreateTime: r.SecretTimes[i].UTC()}
	}
	return client.Client{
		ID: r.ID, Name: r.Name, Public: r.Public, RedirectURIs: r.RedirectURIs, PostLogoutRedirectURIs: r.PostLogoutRedirectURIs,
		WebOrigins: r.WebOrigins, Audiences: r.Audiences, Scopes: r.Scopes, IDTokenAlgorithm: r.IDTokenAlgorithm, RequireVerifiedEmail: r.RequireVerifiedEmail, Secrets: secrets,
		Revision: r.Revision, CreateTime: r.CreateTime.UTC(), UpdateTime: r.UpdateTime.UTC(),
	}
}

const clients = `
	select c.id, c.name, c.public, c.redirect_uris, c.post_logout_redirect_uris, c.web_origins, c.audiences, c.scopes,
	    c.id_token_algorithm, c.require_verified_email, c.revision, c.create_time, c.update_time, s.secret_ids, s.secret_hashes, s.secret_times
	from auth.clients c, lateral (
	    select coalesce(array_agg(id::text order by create_time, id), '{}') as secret_ids,
	        coalesce(array_agg(hash order by create_time, id), '{}') as secret_hashes,
	        coalesce(array_agg(create_time order by create_time, id), '{}') as secret_times
	    from auth.client_secrets where client_id = c.id
	) s`

const clientByID = clients + `
	where c.id = @id`

// Create implements client.Store.
func (s *Clients) Create(ctx context.Context, c client.Client, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into auth.clients (id, name, public, redirect_uris, post_logout_redirect_uris, web_origins, audiences, scopes,
			    id_token_algorithm, require_verified_email, revision, create_time, update_time)
			values (@id, @name, @public, @redirect_uris, @post_logout_redirect_uris, @web_origins, @audiences, @scopes,
			    @id_token_algorithm, @require_verified_email, @revision, @create_time, @update_time)`, clientArgs(c))
		if err != nil {
			return err
		}
		if err := storeSecrets(ctx, tx, c.ID, nil, c.Secrets); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	return nil
}

func clientArgs(c client.Client) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"id": c.ID, "name": c.Name, "public": c.Public, "redirect_uris": list(c.RedirectURIs),
		"post_logout_redirect_uris": list(c.PostLogoutRedirectURIs), "web_origins": list(c.WebOrigins), "audiences": list(c.Audiences),
		"scopes": list(c.Scopes), "id_token_algorithm": c.IDTokenAlgorithm, "require_verified_email": c.RequireVerifiedEmail, "revision": c.Revision,
		"create_time": c.CreateTime, "update_time": c.UpdateTime,
	}
}

// list is an array that is empty and not null when there is nothing in it.
func list(values []string) []string { return append([]string{}, values...) }

// storeSecrets writes the difference. Secrets never change.
func storeSecrets(ctx context.Context, tx pgx.Tx, clientID string, stored, wanted []client.Secret) error {
	for _, s := range stored {
		if slices.Contains(wanted, s) {
			continue
		}
		if _, err := tx.Exec(ctx, `delete from auth.client_secrets where id = @id`, pgx.StrictNamedArgs{"id": s.ID}); err != nil {
			return err
		}
	}
	for _, s := range wanted {
		if slices.Contains(stored, s) {
			continue
		}
		_, err := tx.Exec(ctx, `
			insert into auth.client_secrets (id, client_id, hash, create_time) values (@id, @client_id, @hash, @create_time)`,
			pgx.StrictNamedArgs{"id": s.ID, "client_id": clientID, "hash": s.Hash[:], "create_time": s.CreateTime})
		if err != nil {
			return err
		}
	}
	return nil
}

// Get implements client.Store.
func (s *Clients) Get(ctx context.Context, id string) (client.Client, error) {
	c, err := getClient(ctx, s.pool, clientByID, id)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return client.Client{}, pg.Error(fmt.Errorf("get client: %w", err))
	}
	return c, err
}

func getClient(ctx context.Context, db database, sql, id string) (client.Client, error) {
	row, err := one[clientRow](ctx, db, sql, pgx.StrictNamedArgs{"id": id})
	if errors.Is(err, pgx.ErrNoRows) {
		return client.Client{}, client.ErrNotFound
	}
	return row.client(), err
}

const listClients = clients + `
	where @first or (c.create_time, c.id) > (@after_time, @after_id)
	order by c.create_time, c.id limit @row_limit`

// List implements client.Store.
func (s *Clients) List(ctx context.Context, q resource.Query) ([]client.Client, error) {
	args := pgx.StrictNamedArgs{"first": q.After == nil, "after_time": time.Time{}, "after_id": "", "row_limit": q.Limit}
	if q.After != nil {
		args["after_time"], args["after_id"] = q.After.CreateTime, client.IDAt(*q.After)
	}
	rows, err := all[clientRow](ctx, s.pool, listClients, args)
	if err != nil {
		return nil, pg.Error(fmt.Errorf("list clients: %w", err))
	}
	found := make([]client.Client, len(rows))
	for i, r := range rows {
		found[i] = r.client()
	}
	return found, nil
}

// lockClient comes before the client is read: a reader that waited would see the secrets of before.
func lockClient(ctx context.Context, tx pgx.Tx, id, lock string) (client.Client, error) {
	if _, err := tx.Exec(ctx, `select from auth.clients where id = @id `+lock, pgx.StrictNamedArgs{"id": id}); err != nil {
		return client.Client{}, err
	}
	return getClient(ctx, tx, clientByID, id)
}

// Update implements client.Store.
func (s *Clients) Update(
	ctx context.Context, id string, change func(client.Client) (client.Client, event.Event, error),
) (next client.Client, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		current, err := lockClient(ctx, tx, id, "for no key update")
		if err != nil {
			return err
		}
		var e event.Event
		if next, e, err = change(current); err != nil || next.Revision == current.Revision {
			return err
		}
		args := clientArgs(next)
		delete(args, "public")
		delete(args, "create_time")
		_, err = tx.Exec(ctx, `
			update auth.clients set name = @name, redirect_uris = @redirect_uris, post_logout_redirect_uris = @post_logout_redirect_uris,
			    web_origins = @web_origins, audiences = @audiences, scopes = @scopes, id_token_algorithm = @id_token_algorithm,
			    require_verified_email = @require_verified_email,
			    revision = @revision, update_time = @update_time
			where id = @id`, args)
		if err != nil {
			return err
		}
		if err := storeSecrets(ctx, tx, id, current.Secrets, next.Secrets); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return client.Client{}, err
	}
	return next, nil
}

const endSessionsOfClient = `
	with ended as (delete from auth.sessions where client_id = @id returning id)
	insert into auth.revocations (session_id, expire_time)
	select id, @expire_time from ended
	on conflict (session_id) do nothing`

// Delete implements client.Store.
func (s *Clients) Delete(ctx context.Context, id string, announced time.Time, decide func(client.Client) (event.Event, error)) error {
	return s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		current, err := lockClient(ctx, tx, id, "for update")
		if err != nil {
			return err
		}
		e, err := decide(current)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, endSessionsOfClient, pgx.StrictNamedArgs{"id": id, "expire_time": announced}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from auth.clients where id = @id`, pgx.StrictNamedArgs{"id": id}); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
}

const webOrigins = `
	select origin, bool_or(@platform = any(scopes)) as platform_api
	from auth.clients, unnest(web_origins) origin
	group by origin order by origin collate "C"`

// Origins implements client.Store.
func (s *Clients) Origins(ctx context.Context) ([]client.Origin, error) {
	type row struct {
		Origin      string
		PlatformAPI bool `db:"platform_api"`
	}
	rows, err := all[row](ctx, s.pool, webOrigins, pgx.StrictNamedArgs{"platform": client.ScopePlatform})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("read web origins: %w", err))
	}
	found := make([]client.Origin, len(rows))
	for i, r := range rows {
		found[i] = client.Origin(r)
	}
	return found, nil
}
