---- tern: disable-tx ----
-- The invitations that Auth is to be told of. Building it
-- holds nobody up.
create index concurrently if not exists users_invitation_due on identity.users (invitation_due) where invitation_due is not null;

---- create above / drop below ----

drop index identity.users_invitation_due;
