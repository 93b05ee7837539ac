-- An invited user's invitation: its revision, which grows each time that it is sent again, and when
-- Auth is to be told of it; null when Auth knows.

alter table identity.users add column invitation bigint not null default 0, add column invitation_due timestamptz;

---- create above / drop below ----

alter table identity.users drop column invitation, drop column invitation_due;
