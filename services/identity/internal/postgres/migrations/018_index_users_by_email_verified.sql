---- tern: disable-tx ----
-- The users of one organization whose address is proven, or is not. Building it holds nobody up.
-- Its condition "email_revision >= 0" holds for every row and is in no other query: without it the
-- planner takes this index for other lists while there are few users.
create index concurrently if not exists users_by_email_verified on identity.users (organization_id, email_verified, create_time, id)
    where state = 'active' and email_revision >= 0;

---- create above / drop below ----

drop index identity.users_by_email_verified;
