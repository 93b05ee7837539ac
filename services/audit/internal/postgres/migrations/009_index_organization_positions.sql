---- tern: disable-tx ----
-- A tail that resumes reads by position. This leads it to the events of one organization; without it an old cursor reads the whole trail. Building
-- it holds nobody up.
create index concurrently if not exists events_by_organization_position on audit.events (organization_id, position) where organization_id is not null;

---- create above / drop below ----

drop index audit.events_by_organization_position;
