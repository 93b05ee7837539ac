-- Looks through the rows from before. Reads and writes go on meanwhile.
alter table auth.logins
    validate constraint logins_state_known,
    validate constraint logins_organization_set,
    validate constraint logins_suspended;

---- create above / drop below ----
