-- A tail that resumes reads by position. These lead it to the events of whom or what it asks about; without them an old cursor reads the
-- whole trail. Building them holds ingest up, once: programs keep their events until then.

create index events_by_actor_position on audit.events (actor_id, position) where actor_id <> '';
create index events_by_object_position on audit.events (object_id, position) where object_id <> '';
create index events_by_organization_position on audit.events (organization_id, position) where organization_id is not null;

---- create above / drop below ----

drop index audit.events_by_organization_position;
drop index audit.events_by_object_position;
drop index audit.events_by_actor_position;
