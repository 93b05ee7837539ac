-- What happened and is on its way to another program: the row is written with the change, and removed once it was delivered.

create table {schema}.outbox (
    position    bigint      generated always as identity,
    id          uuid        not null,
    topic       text        not null,
    key         text        not null,
    payload     bytea       not null,
    create_time timestamptz not null default now(),
    park_time   timestamptz,
    park_reason text,
    primary key (topic, position)
);

create index outbox_parked on {schema}.outbox (topic) where park_time is not null;

-- Repeated refusals of one kind and key within a minute: the first is an event at once, the others are counted here.

create table {schema}.refusals (
    minute    timestamptz not null,
    action    text        not null,
    method    text        not null,
    reason    text        not null,
    key       text        not null,
    count     bigint      not null,
    last_time timestamptz not null,
    common    jsonb       not null,
    primary key (minute, action, method, reason, key)
);

-- Which instance delivers: the one whose session is named here, for as long as that lives and renews its lease. The others wake it on the
-- channel, whose name no other role knows.

create table {schema}.relay (
    channel       text        primary key default 'outbox_' || replace(gen_random_uuid()::text, '-', ''),
    pid           integer,
    session_start timestamptz,
    lease_until   timestamptz not null default '-infinity'
);

insert into {schema}.relay default values;
