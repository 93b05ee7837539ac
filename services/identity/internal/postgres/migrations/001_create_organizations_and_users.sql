-- Organizations are tenants; users belong to exactly one. Every index of users starts with the tenant, except the two that serve
-- lookups across tenants: the id that a creating program chose, and the deletions that are due.

create table identity.organizations (
    id           uuid        primary key,
    display_name text        not null,
    personal     boolean     not null,
    revision     bigint      not null,
    create_time  timestamptz not null,
    update_time  timestamptz not null
);

-- Lists are ordered by (create_time, id); each field that a filter may equal has an index in that order.
create index organizations_by_create_time on identity.organizations (create_time, id);
create index organizations_by_display_name on identity.organizations (display_name, create_time, id);

create table identity.users (
    organization_id uuid        not null,
    id              uuid        not null,
    email           text        not null,
    display_name    text        not null,
    locale          text        not null,
    time_zone       text        not null,
    state           text        not null constraint users_state_known check (state in ('active', 'deleting')),
    deletion_due    timestamptz constraint users_deletion_due_set check ((state = 'deleting') = (deletion_due is not null)),
    revision        bigint      not null,
    create_time     timestamptz not null,
    update_time     timestamptz not null,
    primary key (organization_id, id),
    constraint users_id_key unique (id),
    -- Deferred, so that one transaction can claim the user's id first and create the personal organization only if it won the id.
    constraint users_organization_fk foreign key (organization_id) references identity.organizations (id)
        deferrable initially deferred
);

create index users_by_create_time on identity.users (organization_id, create_time, id) where state = 'active';
create index users_by_email on identity.users (organization_id, email, create_time, id) where state = 'active';
create index users_by_display_name on identity.users (organization_id, display_name, create_time, id) where state = 'active';
create index users_deletion_due on identity.users (deletion_due) where state = 'deleting';

---- create above / drop below ----

drop table identity.users;
drop table identity.organizations;
