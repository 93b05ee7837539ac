-- Used codes: which authorization codes were exchanged. A code is sealed and not stored; it holds the id of the session that it begins.
create table auth.used_codes (
    session_id   uuid        primary key,
    expire_time  timestamptz not null
);
comment on column auth.used_codes.expire_time is 'of the code; a while later the row is not needed any more';

create index used_codes_expire_time on auth.used_codes (expire_time);
