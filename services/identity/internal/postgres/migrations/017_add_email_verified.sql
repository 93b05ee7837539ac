-- Whether Auth says that a user has proven the address, and the revision of what Auth said last of
-- it: an older one changes nothing.

alter table identity.users
    add column email_verified boolean not null default false,
    add column email_revision bigint not null default 0;

---- create above / drop below ----

alter table identity.users
    drop column email_verified,
    drop column email_revision;
