-- How long events are kept, and what keeps them longer. All of it is the owner's: the serving role reads what it must refuse, and when
-- `audit keep` ran last.

-- One row for each class, and one for each organization that keeps a class otherwise. since only grows: what happened before it may be
-- gone, and is refused when it comes again. Up to swept_until nothing is left to remove.
create table audit.retention (
    organization_id uuid,
    class           text        not null constraint retention_class_known check (class in ('changes', 'sign_ins', 'refusals')),
    days            integer     constraint retention_days_positive check (days > 0),
    since           timestamptz not null default '-infinity',
    swept_until     timestamptz not null default '-infinity'
);

create unique index retention_of_all on audit.retention (class) where organization_id is null;
create unique index retention_of_one on audit.retention (organization_id, class) where organization_id is not null;

insert into audit.retention (class) values ('changes'), ('sign_ins'), ('refusals');

create table audit.holds (
    id              uuid        primary key default gen_random_uuid(),
    organization_id uuid,
    subject_id      text        not null default '',
    since           timestamptz not null default '-infinity',
    until           timestamptz not null default 'infinity',
    reason          text        not null,
    set_time        timestamptz not null default now(),
    lift_time       timestamptz,
    lift_reason     text
);

-- When `audit keep` ended last, and what was removed since its last event, which tells of that.
create table audit.upkeep (
    one             boolean     primary key default true constraint upkeep_one check (one),
    last_run        timestamptz not null default now(),
    events          bigint      not null default 0,
    personal_values bigint      not null default 0,
    months          text[]      not null default '{}'
);

insert into audit.upkeep default values;

grant select on audit.retention, audit.upkeep to audit;

---- create above / drop below ----

drop table audit.upkeep;
drop table audit.holds;
drop table audit.retention;
