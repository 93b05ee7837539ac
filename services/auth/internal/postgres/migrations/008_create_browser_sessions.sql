-- Browser sessions: a person signed in with a browser, which shows a cookie. The sessions of OAuth clients that follow from it are below it,
-- and end with it.
create table auth.browser_sessions (
    id           uuid        primary key,
    secret_hash  bytea       not null constraint browser_sessions_secret_hash_key unique check (octet_length(secret_hash) = 32),
    user_id      uuid        not null references auth.logins (user_id) on delete cascade,
    auth_time    timestamptz not null,
    amr          text[]      not null,
    address      text        not null,
    user_agent   text        not null,
    create_time  timestamptz not null,
    seen_time    timestamptz not null,
    expire_time  timestamptz not null
);
comment on column auth.browser_sessions.secret_hash is 'SHA-256 of what the cookie holds; another one after each authentication';
comment on column auth.browser_sessions.auth_time is 'when the person was last proven';
comment on column auth.browser_sessions.amr is 'how: authentication method references (RFC 8176)';
comment on column auth.browser_sessions.seen_time is 'when the cookie, or a client below, was last seen, to about a minute';

create index browser_sessions_user_id on auth.browser_sessions (user_id);
create index browser_sessions_expire_time on auth.browser_sessions (expire_time);
create index browser_sessions_seen_time on auth.browser_sessions (seen_time);

-- A session of a client is below a browser session; a session of the platform's own sign-in has neither. The reference does not cascade:
-- whoever deletes a browser session revokes what is below it in the same statement, or the database refuses.
alter table auth.sessions
    add column browser_session_id  uuid references auth.browser_sessions (id),
    add column client_id           text,
    add column scope               text        not null default '',
    add column audience            text[]      not null default '{}',
    add column auth_time           timestamptz,
    add column amr                 text[]      not null default '{}',
    add column address             text        not null default '',
    add column user_agent          text        not null default '',
    add check ((client_id is null) = (browser_session_id is null));
comment on column auth.sessions.scope is 'what was granted to the client, with spaces between';
comment on column auth.sessions.audience is 'what the client''s access tokens are for, beside the issuer';
comment on column auth.sessions.auth_time is 'when the person was proven before it began; null of sessions from before this was kept';

create index sessions_browser_session_id on auth.sessions (browser_session_id) where browser_session_id is not null;
create index sessions_client_id on auth.sessions (client_id) where client_id is not null;
