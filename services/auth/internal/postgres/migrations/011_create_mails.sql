-- Mails that wait for their delivery. One that was accepted is deleted: what is not here any more is not sent again.
create table auth.mails (
    id            uuid        primary key,
    kind          text        not null,
    sealed        bytea,
    create_time   timestamptz not null,
    expire_time   timestamptz not null,
    attempt_time  timestamptz not null,
    attempts      integer     not null default 0,
    park_time     timestamptz,
    reason        text        not null default '',
    check (sealed is not null or park_time is not null)
);
comment on column auth.mails.id is 'the first half of its Message-ID, in every attempt';
comment on column auth.mails.sealed is 'address and text, sealed with a key that is not in the database; none of a parked one, which is never sent';
comment on column auth.mails.attempt_time is 'of the next attempt; while one is made, when another instance may make it';
comment on column auth.mails.reason is 'why the last attempt failed, without an address';

create index mails_attempt_time on auth.mails (attempt_time) where park_time is null;
create index mails_create_time on auth.mails (create_time) where park_time is null;
create index mails_park_time on auth.mails (park_time) where park_time is not null;

-- How many mails an address was sent lately. Its hash is keyed: who reads the table learns no address.
create table auth.mail_addresses (
    hash       bytea         primary key,
    times      timestamptz[] not null,
    last_time  timestamptz   not null
);
create index mail_addresses_last_time on auth.mail_addresses (last_time);
