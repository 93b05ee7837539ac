-- Suspended users, who count in no decision about the last administrator or owner until they return. What was reserved and never settled is
-- forgotten like a departure; what is settled has no end of its own.
create table authz.suspensions (
    subject      text        primary key,
    revision     bigint      not null,
    reserve_time timestamptz not null
);

create index suspensions_reserved on authz.suspensions (reserve_time);

---- create above / drop below ----

drop table authz.suspensions;
