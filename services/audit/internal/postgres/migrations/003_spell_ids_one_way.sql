-- Ids have one form: a UUID is in lower case. The columns that filters equal follow; what happened, the canonical bytes, stays as it is.
--
-- An Audit from before goes on storing what it is sent, and nothing mends that later: end the old instances before this runs, or run this
-- update once more, as audit_owner, when they are gone. It may run any number of times.

update audit.events set
    object_id = case when object_id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' then lower(object_id) else object_id end,
    actor_id = case when actor_id ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' then lower(actor_id) else actor_id end
where object_id ~ '^(?=[-0-9a-f]*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
    or actor_id ~ '^(?=[-0-9a-f]*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$';

---- create above / drop below ----

-- Nothing to take back: the columns say the same ids.
select 1;
