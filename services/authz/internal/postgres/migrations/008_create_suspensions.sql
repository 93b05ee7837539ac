-- Suspended users, who count in no decision about the last administrator or owner until they
-- return. What was reserved and never settled is forgotten like a departure; what is settled goes
-- with its user. A return is kept as long as a departure, so that what is said late of the
-- suspension before does not bring it back.
create table authz.suspensions (
    subject      text        primary key,
    revision     bigint      not null,
    reserve_time timestamptz not null,
    returned     boolean     not null default false
);

create index suspensions_reserved on authz.suspensions (reserve_time);

---- create above / drop below ----

drop table authz.suspensions;
