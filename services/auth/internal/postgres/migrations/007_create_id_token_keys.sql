-- Keys that sign ID tokens, private halves sealed with the key file: apart from signing_keys, whose public halves all verifiers of access
-- tokens read. Each algorithm has keys of its own.
create table auth.id_token_keys (
    id           text        primary key,
    algorithm    text        not null check (algorithm in ('RS256', 'ES256', 'EdDSA')),
    state        text        not null check (state in ('next', 'active', 'retired')),
    public_key   bytea       not null,
    sealed_key   bytea       not null,
    create_time  timestamptz not null,
    state_time   timestamptz not null
);
create unique index id_token_keys_one_active on auth.id_token_keys (algorithm) where state = 'active';
create unique index id_token_keys_one_next on auth.id_token_keys (algorithm) where state = 'next';
