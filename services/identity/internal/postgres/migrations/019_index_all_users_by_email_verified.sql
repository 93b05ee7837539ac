---- tern: disable-tx ----
-- The users of all organizations whose address is proven, or is not. Building it holds nobody up.
create index concurrently if not exists all_users_by_email_verified on identity.users (email_verified, create_time, id)
    where state = 'active' and revision > 0 and email_revision >= 0;

---- create above / drop below ----

drop index identity.all_users_by_email_verified;
