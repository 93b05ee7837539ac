---- tern: disable-tx ----
-- The users of all organizations in one state. Building it
-- holds nobody up.
create index concurrently if not exists all_users_by_standing on identity.users (standing, create_time, id) where state = 'active' and revision > 0;

---- create above / drop below ----

drop index identity.all_users_by_standing;
