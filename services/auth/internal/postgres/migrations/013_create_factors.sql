-- Second factors. Whether a login has one is on its row, where every session that begins looks,
-- with a number that goes up with each change: what was proven by the one of before is refused.
alter table auth.logins
    add column second_factor    boolean  not null default false,
    add column factor_revision  bigint   not null default 0;

create table auth.totp (
    user_id      uuid         primary key references auth.logins (user_id) on delete cascade,
    sealed       bytea        not null,
    last_step    bigint       not null,
    enrol_time   timestamptz  not null
);
comment on column auth.totp.sealed is 'secret of the authenticator, sealed with a key that is not in the database';
comment on column auth.totp.last_step is 'the newest step of which a code was used: each step once, and none before it';

-- Recovery codes that are good. One that is used is deleted.
create table auth.recovery_codes (
    user_id    uuid   not null references auth.totp (user_id) on delete cascade,
    code_hash  bytea  not null check (octet_length(code_hash) = 32),
    primary key (user_id, code_hash)
);
comment on column auth.recovery_codes.code_hash is 'SHA-256 of user and code, which is 120 random bits';

-- What organizations require of their members when they sign in.
create table auth.sign_in_policies (
    organization_id         uuid         primary key,
    second_factor_required  boolean      not null,
    update_time             timestamptz  not null
);
