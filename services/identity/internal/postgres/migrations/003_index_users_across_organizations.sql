-- Lists of the users of all organizations are ordered by (create_time, id) too, and each field that their filter may equal has an index in
-- that order. Their condition "revision > 0" holds for every row and is in no query of one organization: without it the planner takes
-- these indexes for a large organization as well, and walks through the rows of the others.

alter table identity.users add constraint users_revision_positive check (revision > 0);
create index all_users_by_create_time on identity.users (create_time, id) where state = 'active' and revision > 0;
create index all_users_by_email on identity.users (email, create_time, id) where state = 'active' and revision > 0;
create index all_users_by_display_name on identity.users (display_name, create_time, id) where state = 'active' and revision > 0;

-- An address names one active user of an organization, without regard to case. The index serves the filter as well: what it finds is one row.
update identity.users set email = lower(email) where email <> lower(email);
create unique index users_email_key on identity.users (organization_id, email) where state = 'active';
drop index identity.users_by_email;

---- create above / drop below ----

create index users_by_email on identity.users (organization_id, email, create_time, id) where state = 'active';
drop index identity.users_email_key;
drop index identity.all_users_by_display_name;
drop index identity.all_users_by_email;
drop index identity.all_users_by_create_time;
alter table identity.users drop constraint users_revision_positive;
