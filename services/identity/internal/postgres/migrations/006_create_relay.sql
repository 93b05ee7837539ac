-- Which instance delivers the outbox: the one whose session is named here, for as long as that lives and renews its lease. The others wake
-- it on the channel, whose name no other role knows.

create table identity.relay (
    channel       text        primary key default 'outbox_' || replace(gen_random_uuid()::text, '-', ''),
    pid           integer,
    session_start timestamptz,
    lease_until   timestamptz not null default '-infinity'
);

insert into identity.relay default values;

---- create above / drop below ----

drop table identity.relay;
