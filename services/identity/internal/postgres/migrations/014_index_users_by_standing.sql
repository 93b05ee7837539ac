---- tern: disable-tx ----
-- The users of one organization in one state. Building it holds nobody up. Its condition "standing
-- <> ''" holds for every row and is in no other query: without it the planner takes this index for
-- the search of an address while there are few users, and connections keep plans.
create index concurrently if not exists users_by_standing on identity.users (organization_id, standing, create_time, id)
    where state = 'active' and standing <> '';

---- create above / drop below ----

drop index identity.users_by_standing;
