-- Ids have one form: a UUID is in lower case. The columns that filters equal follow; what happened, the canonical bytes, stays as it is.

update audit.events set object_id = lower(object_id)
where object_id ~ '^(?=[-0-9a-f]*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$';

update audit.events set actor_id = lower(actor_id)
where actor_id ~ '^(?=[-0-9a-f]*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$';

---- create above / drop below ----

-- Nothing to take back: the columns say the same ids.
select 1;
