-- Logins: an address, its password and the user they prove.
create table auth.logins (
    user_id          uuid        primary key,
    email            text        not null constraint logins_email_key unique,
    password_hash    text        not null,
    state            text        not null check (state in ('pending', 'active')),
    organization_id  uuid,
    display_name     text        not null default '',
    create_time      timestamptz not null,
    update_time      timestamptz not null,
    attempt_time     timestamptz,
    check ((state = 'active') = (organization_id is not null)),
    check ((state = 'pending') = (attempt_time is not null))
);
comment on column auth.logins.email is 'lower case';
comment on column auth.logins.display_name is 'for Identity; emptied on activation';
comment on column auth.logins.attempt_time is 'when a pending sign-up may next be taken up by the reconciler';

create index logins_attempt_time on auth.logins (attempt_time) where state = 'pending';

-- Sessions: one row each, however many refresh tokens it handed out.
create table auth.sessions (
    id            uuid        primary key,
    user_id       uuid        not null references auth.logins (user_id),
    family_hash   bytea       not null constraint sessions_family_hash_key unique check (octet_length(family_hash) = 32),
    token_hash    bytea       not null check (octet_length(token_hash) = 32),
    create_time   timestamptz not null,
    refresh_time  timestamptz not null,
    expire_time   timestamptz not null
);
comment on column auth.sessions.family_hash is 'SHA-256 of the half that all refresh tokens of the session share';
comment on column auth.sessions.token_hash is 'SHA-256 of the other half of the newest refresh token';

create index sessions_user_id on auth.sessions (user_id);
create index sessions_expire_time on auth.sessions (expire_time);
create index sessions_refresh_time on auth.sessions (refresh_time);

-- Revocations: sessions that ended before their access tokens expired.
create table auth.revocations (
    session_id   uuid        primary key,
    expire_time  timestamptz not null,
    writer       bigint      not null default pg_current_xact_id()::text::bigint
);
comment on column auth.revocations.writer is 'transaction that wrote the row: readers take everything from the oldest one that was running at their last read, so no late commit is missed';

create index revocations_writer on auth.revocations (writer);
create index revocations_expire_time on auth.revocations (expire_time);

-- Signing keys, private halves sealed with the key file.
create table auth.signing_keys (
    id           text        primary key,
    algorithm    text        not null check (algorithm in ('EdDSA', 'ES256')),
    state        text        not null check (state in ('next', 'active', 'retired')),
    public_key   bytea       not null,
    sealed_key   bytea       not null,
    create_time  timestamptz not null,
    state_time   timestamptz not null
);
create unique index signing_keys_one_active on auth.signing_keys (state) where state = 'active';
create unique index signing_keys_one_next on auth.signing_keys (state) where state = 'next';
