-- Recoveries: what `auth recover` made for the operator of a platform without an administrator. Like the bootstrap, whoever holds the row
-- has, or is about to have, used its secret; unlike it, there may be many, and each is good for a short time.
create table auth.recoveries (
    secret_hash        bytea       primary key check (octet_length(secret_hash) = 32),
    create_time        timestamptz not null,
    expire_time        timestamptz not null,
    user_id            uuid,
    consistency_token  text,
    use_time           timestamptz,
    check ((use_time is null) = (consistency_token is null)),
    check (use_time is null or user_id is not null)
);
comment on column auth.recoveries.secret_hash is 'SHA-256 of the secret';
comment on column auth.recoveries.expire_time is 'after which no login can take the secret any more; one that has taken it is completed';
comment on column auth.recoveries.consistency_token is 'of the relationship that makes the user an administrator';

create index recoveries_user_id on auth.recoveries (user_id) where user_id is not null;
