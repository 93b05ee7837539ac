-- The trail. The serving role may add and read; update, delete and truncate are the owner's alone, and the owner does not serve.

do $$
begin
    if not exists (select from pg_catalog.pg_roles where rolname = 'audit') then
        raise exception 'there is no role "audit": make the role that serves this schema first, then migrate again';
    end if;
end
$$;

-- position counts what was stored, without gaps and in the order of the commits, because whoever adds holds a lock until its commit. The
-- other columns repeat, for the indexes, what the canonical bytes say.
create table audit.events (
    position        bigint      primary key,
    id              uuid        not null constraint events_id_key unique,
    time            timestamptz not null,
    source          text        not null,
    action          text        not null,
    outcome         text        not null constraint events_outcome_known check (outcome in ('success', 'failure', 'denied')),
    actor_id        text        not null,
    organization_id uuid,
    object_type     text        not null,
    object_id       text        not null,
    request_id      text        not null,
    canonical       bytea       not null
);

-- Lists are ordered by (time, position), newest first; each field that a filter may equal has an index in that order. What is empty or
-- nearly always the same is left out: filters never ask for it, or are served by the time alone.
create index events_by_time on audit.events (time, position);
create index events_by_actor on audit.events (actor_id, time, position) where actor_id <> '';
create index events_by_organization on audit.events (organization_id, time, position) where organization_id is not null;
create index events_by_object on audit.events (object_id, time, position) where object_id <> '';
create index events_by_object_type on audit.events (object_type, time, position) where object_type <> '';
create index events_by_action on audit.events (action, time, position);
create index events_by_outcome on audit.events (outcome, time, position) where outcome <> 'success';
create index events_by_request on audit.events (request_id, time, position) where request_id <> '';

-- Values that the canonical bytes only hold a salted hash of. No foreign key: both are added by one transaction, and checking the key
-- would lock a row of events for each value.
create table audit.personal_values (
    position bigint not null,
    field    text   not null,
    salt     bytea  not null,
    value    text   not null,
    primary key (position, field)
);

grant select on audit.schema_version to audit;
grant select, insert on audit.events, audit.personal_values to audit;

---- create above / drop below ----

drop table audit.personal_values;
drop table audit.events;
