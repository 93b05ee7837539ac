-- What an interrupted sign-up keeps of its request, and whether it is the first administrator's.
alter table auth.logins
    add column first_administrator boolean not null default false,
    add column event               jsonb,
    add check (state = 'pending' or not first_administrator),
    add check (state = 'pending' or event is null);
comment on column auth.logins.first_administrator is 'of a pending login: its activation makes the platform''s first administrator';
comment on column auth.logins.event is 'of a pending login: the audit event of the request that made it, to be recorded by the activation';

-- The bootstrap: whoever holds the one row has, or is about to have, used the bootstrap secret. Used once, it stays for ever.
create table auth.bootstrap (
    only_row           boolean     primary key default true check (only_row),
    user_id            uuid        not null,
    consistency_token  text,
    create_time        timestamptz not null,
    use_time           timestamptz,
    check ((use_time is null) = (consistency_token is null))
);
comment on column auth.bootstrap.consistency_token is 'of the relationship that makes the user an administrator';
comment on column auth.bootstrap.use_time is 'when the secret was used up; null while the first administrator''s login is pending';
