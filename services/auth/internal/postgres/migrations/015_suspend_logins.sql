-- Suspended logins sign nobody in. Every statement that begins a session asks for an active one, those of programs of the version before, too. A login
-- that is pending remembers that it is suspended until its activation. Of what Identity says of a user the highest revision counts.

alter table auth.logins
    add column suspended         boolean not null default false,
    add column standing_revision bigint  not null default 0,
    drop constraint logins_state_check,
    drop constraint logins_check,
    add constraint logins_state_known check (state in ('pending', 'active', 'suspended')),
    add constraint logins_organization_set check ((state = 'pending') = (organization_id is null)),
    add constraint logins_suspended check (state = 'pending' or suspended = (state = 'suspended'));

---- create above / drop below ----

alter table auth.logins
    drop constraint logins_suspended,
    drop constraint logins_organization_set,
    drop constraint logins_state_known,
    drop column standing_revision,
    drop column suspended,
    add constraint logins_state_check check (state in ('pending', 'active')),
    add constraint logins_check check ((state = 'active') = (organization_id is not null));
