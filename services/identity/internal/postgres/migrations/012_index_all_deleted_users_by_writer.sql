---- tern: disable-tx ----
-- Which deletions are news of all organizations. Building it
-- holds nobody up.
create index concurrently if not exists all_deleted_users_by_writer on identity.deleted_users (writer, id) where writer is not null;

---- create above / drop below ----

drop index identity.all_deleted_users_by_writer;
