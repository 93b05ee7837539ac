-- What a user is who is there: invited, active or suspended. The column state goes on to say
-- whether the user is there at all ('active') or being deleted: programs of the version before, its
-- triggers and the partial indexes know that one alone, and every user they make is active.

alter table identity.users
    add column standing text not null default 'active',
    add constraint users_standing_known check (standing in ('invited', 'active', 'suspended')) not valid;

---- create above / drop below ----

alter table identity.users drop column standing;
