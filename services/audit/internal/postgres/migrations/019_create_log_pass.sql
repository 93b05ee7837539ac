-- A pass over the log, each day, compares what is stored with what was signed. It has to know which events are gone by right.

-- Which events retention has removed: one bit for each position of a tile of level 0. Only the owner adds to it, in the transaction that removes them.
create table audit.removed_events (
    tile      bigint   primary key, -- of the positions 256 * tile + 1 and on
    positions bit(256) not null
);

-- Where the pass is, and what it has found. Whoever goes on with it holds the lock of this table until its commit. What is gone up to the position
-- unknown_until may have been removed before removals were recorded.
create table audit.log_pass (
    id               boolean     primary key default true constraint log_pass_one check (id),
    started          timestamptz not null default '-infinity',
    ended            timestamptz not null default now(), -- of the last complete pass; at first there is none, and time for one
    under_way        boolean     not null default false,
    tile             bigint      not null default 0, -- that is looked at next
    differences      bigint      not null default 0, -- of the pass under way
    unknown          bigint      not null default 0,
    places           text[]      not null default '{}',
    last_differences bigint      not null default 0, -- of the last complete pass
    last_unknown     bigint      not null default 0,
    unknown_until    bigint      not null default 0
);

insert into audit.log_pass (unknown_until)
select case when exists (select from audit.retention where since > '-infinity') then coalesce((select max(position) from audit.events), 0) else 0 end;

grant select on audit.removed_events to audit;
grant select, update on audit.log_pass to audit;

---- create above / drop below ----

drop table audit.log_pass;
drop table audit.removed_events;
