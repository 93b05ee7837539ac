-- What happened and is on its way to another program: the row is written with the change, and removed once it was delivered.

create table identity.outbox (
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

create index outbox_parked on identity.outbox (topic) where park_time is not null;

-- Repeated refusals of one kind and key within a minute: the first is an event at once, the others are counted here.

create table identity.refusals (
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

---- create above / drop below ----

drop table identity.refusals;
drop table identity.outbox;
