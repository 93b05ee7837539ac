-- Clients: the applications that people sign in to with an OpenID library.
create table auth.clients (
    id                         text        primary key check (id ~ '^client-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'),
    name                       text        not null,
    public                     boolean     not null,
    redirect_uris              text[]      not null,
    post_logout_redirect_uris  text[]      not null,
    web_origins                text[]      not null,
    audiences                  text[]      not null,
    scopes                     text[]      not null,
    id_token_algorithm         text        not null check (id_token_algorithm in ('RS256', 'ES256', 'EdDSA')),
    revision                   bigint      not null,
    create_time                timestamptz not null,
    update_time                timestamptz not null
);
comment on column auth.clients.id is 'the client_id of its tokens; its prefix keeps it apart from the sub of every user';

create index clients_create_time_id on auth.clients (create_time, id);

-- Secrets of clients that can keep one: two while one replaces the other.
create table auth.client_secrets (
    id           uuid        primary key,
    client_id    text        not null references auth.clients (id) on delete cascade,
    hash         bytea       not null check (octet_length(hash) = 32),
    create_time  timestamptz not null
);
comment on column auth.client_secrets.hash is 'SHA-256 of the secret, which has 256 random bits';

create index client_secrets_client_id on auth.client_secrets (client_id);
