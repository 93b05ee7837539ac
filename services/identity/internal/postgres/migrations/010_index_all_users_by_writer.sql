---- tern: disable-tx ----
-- What is news of all organizations. Building it
-- holds nobody up.
create index concurrently if not exists all_users_by_writer on identity.users (writer, id) where writer is not null;

---- create above / drop below ----

drop index identity.all_users_by_writer;
