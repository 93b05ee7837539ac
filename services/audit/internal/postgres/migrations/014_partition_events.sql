-- The trail in partitions: what there was until now is the first, and events_later takes what is beyond the last month that was made.
-- The months are made by `audit migrate` and `audit keep`, out of events_later. Everything here is a change of the catalog: no row is
-- read, because the bound of the first is validated and its indexes are those of the new table.
--
-- The serving role has its rights on audit.events alone: it can neither read nor write a partition by its own name.

do $$
begin
    set local lock_timeout = '2s';
    for attempt in 1..30 loop
        begin
            lock table audit.coordination in share update exclusive mode;
            lock table audit.events in access exclusive mode;
            exit;
        exception when lock_not_available then
            if attempt = 30 then
                raise;
            end if;
            perform pg_sleep(1);
        end;
    end loop;
end
$$;

alter table audit.events rename to events_first;
revoke all on audit.events_first from audit;
alter table audit.events_first drop constraint events_pkey;
alter table audit.events_first drop constraint events_id_key;
alter index audit.events_by_time rename to events_first_by_time;
alter index audit.events_by_actor rename to events_first_by_actor;
alter index audit.events_by_organization rename to events_first_by_organization;
alter index audit.events_by_object rename to events_first_by_object;
alter index audit.events_by_object_type rename to events_first_by_object_type;
alter index audit.events_by_action rename to events_first_by_action;
alter index audit.events_by_outcome rename to events_first_by_outcome;
alter index audit.events_by_request rename to events_first_by_request;
alter index audit.events_by_actor_position rename to events_first_by_actor_position;
alter index audit.events_by_object_position rename to events_first_by_object_position;
alter index audit.events_by_organization_position rename to events_first_by_organization_position;

create table audit.events (
    position        bigint      not null,
    id              uuid        not null,
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
) partition by range (time);

create unique index events_by_position on audit.events (position, time);
create unique index events_by_id on audit.events (id, time);
create index events_by_time on audit.events (time, position);
create index events_by_actor on audit.events (actor_id, time, position) where actor_id <> '';
create index events_by_organization on audit.events (organization_id, time, position) where organization_id is not null;
create index events_by_object on audit.events (object_id, time, position) where object_id <> '';
create index events_by_object_type on audit.events (object_type, time, position) where object_type <> '';
create index events_by_action on audit.events (action, time, position);
create index events_by_outcome on audit.events (outcome, time, position) where outcome <> 'success';
create index events_by_request on audit.events (request_id, time, position) where request_id <> '';
create index events_by_actor_position on audit.events (actor_id, position) where actor_id <> '';
create index events_by_object_position on audit.events (object_id, position) where object_id <> '';
create index events_by_organization_position on audit.events (organization_id, position) where organization_id is not null;

do $$
declare
    bound timestamptz;
begin
    select substring(pg_get_constraintdef(oid) from '''(.*)''')::timestamptz into strict bound
    from pg_catalog.pg_constraint where conrelid = 'audit.events_first'::regclass and conname = 'events_first_bound';
    execute format('alter table audit.events attach partition audit.events_first for values from (minvalue) to (%L)', bound);
    execute format('create table audit.events_later partition of audit.events for values from (%L) to (maxvalue)', bound);
end
$$;

alter table audit.events_first drop constraint events_first_bound;
grant select, insert on audit.events to audit;

---- create above / drop below ----

-- Not taken back: the months would have to be copied into one table.
select 1;
