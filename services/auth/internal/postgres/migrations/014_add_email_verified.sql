-- Whether somebody has proven that the address of a login is theirs, and whether Identity has
-- learnt of that. A login from before is unproven.
alter table auth.logins
    add column email_verified      boolean      not null default false,
    add column email_revision      bigint       not null default 0,
    add column email_attempt_time  timestamptz;
comment on column auth.logins.email_revision is 'of address and email_verified, as Identity is told of them: it only grows';
comment on column auth.logins.email_attempt_time is 'of the next attempt to tell Identity; null when it knows';
