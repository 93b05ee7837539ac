---- tern: disable-tx ----
-- Which deletions are news of one organization. Building it
-- holds nobody up.
create index concurrently if not exists deleted_users_by_writer on identity.deleted_users (organization_id, writer, id) where writer is not null;

---- create above / drop below ----

drop index identity.deleted_users_by_writer;
