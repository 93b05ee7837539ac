-- The command log: what was accepted to be written to the relationships, which OpenFGA keeps in a schema of its own. A command and its
-- locks are stored in one transaction; it is applied; then one transaction ends it, appends its audit row and releases its locks.

create table authz.commands (
    id           uuid        primary key,
    state        text        not null constraint commands_state_known check (state in ('accepted', 'applied', 'refused')),
    fingerprint  bytea       not null,
    writes       text[]      not null,
    deletes      text[]      not null,
    event_id     uuid        not null,
    event_key    text        not null,
    event        bytea, -- the audit row to be, until the command ends
    claim        bigint      not null,
    claim_until  timestamptz not null,
    accept_time  timestamptz not null,
    end_time     timestamptz,
    constraint commands_end_known check ((state = 'accepted') = (end_time is null)),
    constraint commands_event_kept check ((state = 'accepted') = (event is not null))
);

create index commands_abandoned on authz.commands (claim_until) where state = 'accepted';
create index commands_ended on authz.commands (end_time) where state <> 'accepted';

-- Who holds an object: no other command that touches it is accepted meanwhile, by no instance.
create table authz.object_locks (
    object     text primary key,
    command_id uuid not null,
    constraint object_locks_command_fk foreign key (command_id) references authz.commands (id) deferrable initially deferred
);

create index object_locks_by_command on authz.object_locks (command_id);

---- create above / drop below ----

drop table authz.object_locks;
drop table authz.commands;
