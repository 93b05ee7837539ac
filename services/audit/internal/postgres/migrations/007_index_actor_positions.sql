---- tern: disable-tx ----
-- A tail that resumes reads by position. This leads it to the events of one actor; without it an old cursor reads the whole trail. Building
-- it holds nobody up.
create index concurrently if not exists events_by_actor_position on audit.events (actor_id, position) where actor_id <> '';

---- create above / drop below ----

drop index audit.events_by_actor_position;
