-- Suspended logins sign nobody in. Every statement that begins a session asks for an active one,
-- those of programs of the version before, too. A login that is pending remembers that it is
-- suspended until its activation. Of what Identity says of a user the highest revision counts. Rows
-- of before are looked through later, when nobody waits for that.

alter table auth.logins
    add column suspended         boolean not null default false,
    add column standing_revision bigint  not null default 0,
    drop constraint logins_state_check,
    drop constraint logins_check,
    add constraint logins_state_known check (state in ('pending', 'active', 'suspended')) not valid,
    add constraint logins_organization_set check ((state = 'pending') = (organization_id is null)) not valid,
    add constraint logins_suspended check (state = 'pending' or suspended = (state = 'suspended')) not valid;

---- create above / drop below ----

alter table auth.logins
    drop constraint logins_suspended,
    drop constraint logins_organization_set,
    drop constraint logins_state_known,
    drop column standing_revision,
    drop column suspended,
    add constraint logins_state_check check (state in ('pending', 'active')),
    add constraint logins_check check ((state = 'active') = (organization_id is not null));
