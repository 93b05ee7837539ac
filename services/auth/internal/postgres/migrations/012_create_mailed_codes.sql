-- What waits until somebody shows the code that was sent to an address. A code is used up by
-- deleting its row, in the transaction of what follows from it.
create table auth.mailed_codes (
    code_hash      bytea        primary key check (octet_length(code_hash) = 32),
    purpose        text         not null,
    user_id        uuid,
    email          text         not null,
    password_hash  text         not null default '',
    display_name   text         not null default '',
    create_time    timestamptz  not null,
    expire_time    timestamptz  not null
);
comment on column auth.mailed_codes.code_hash is 'SHA-256 of the code, which is 128 random bits';
comment on column auth.mailed_codes.user_id is 'whom it is about; null when the address is nobody''s. No reference: who is invited has no login yet';
comment on column auth.mailed_codes.email is 'the address that the code proves';
comment on column auth.mailed_codes.password_hash is 'of a sign-up, whose login does not exist yet';

-- Anybody may ask for a reset of anybody: each code of one stays good, so that no stranger makes
-- worthless what the owner was told.
create unique index mailed_codes_user_id_purpose on auth.mailed_codes (user_id, purpose) where purpose <> 'reset';
create index mailed_codes_user_id on auth.mailed_codes (user_id) where user_id is not null;
create index mailed_codes_expire_time on auth.mailed_codes (expire_time);
