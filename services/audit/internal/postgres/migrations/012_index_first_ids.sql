---- tern: disable-tx ----
-- What is unique in a partitioned table has the time in it. Building it holds nobody up.
create unique index concurrently if not exists events_first_by_id on audit.events (id, time);

---- create above / drop below ----

drop index audit.events_first_by_id;
