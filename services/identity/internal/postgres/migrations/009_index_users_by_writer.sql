---- tern: disable-tx ----
-- What is news of one organization. Rows of before have no writer and are not in it. Building it
-- holds nobody up.
create index concurrently if not exists users_by_writer on identity.users (organization_id, writer, id) where writer is not null;

---- create above / drop below ----

drop index identity.users_by_writer;
