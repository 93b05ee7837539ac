-- The newest token of a user's relationships, so that the repeat of a request answers with it as well.

alter table identity.users add column relationships_token text not null default '';

-- Relationships of everybody who was there before Authz. Whoever a personal organization was made for has its creation time.

insert into identity.outbox (id, topic, key, payload)
select gen_random_uuid(), 'relationships', 'organization:' || o.id, convert_to(json_build_object(
    'change', json_build_object('writes', json_build_array(
        json_build_object('object', 'organization:' || o.id, 'relation', 'platform', 'subject', 'platform:gatehouse'))),
    'origin', json_build_object('actor_type', 'service', 'actor_id', 'identity'))::text, 'UTF8')
from identity.organizations o
order by o.create_time, o.id;

insert into identity.outbox (id, topic, key, payload)
select gen_random_uuid(), 'relationships', 'user:' || u.id, convert_to(json_build_object(
    'change', json_build_object('writes', case when o.personal and o.create_time = u.create_time
        then json_build_array(
            json_build_object('object', 'user:' || u.id, 'relation', 'organization', 'subject', 'organization:' || o.id),
            json_build_object('object', 'organization:' || o.id, 'relation', 'member', 'subject', 'user:' || u.id),
            json_build_object('object', 'organization:' || o.id, 'relation', 'owner', 'subject', 'user:' || u.id))
        else json_build_array(
            json_build_object('object', 'user:' || u.id, 'relation', 'organization', 'subject', 'organization:' || o.id),
            json_build_object('object', 'organization:' || o.id, 'relation', 'member', 'subject', 'user:' || u.id))
        end),
    'origin', json_build_object('actor_type', 'service', 'actor_id', 'identity'))::text, 'UTF8')
from identity.users u join identity.organizations o on o.id = u.organization_id
where u.state = 'active'
order by u.create_time, u.id;

---- create above / drop below ----

alter table identity.users drop column relationships_token;
