---- tern: disable-tx ----
-- An address is reserved for one login. Building it
-- holds nobody up.
create unique index concurrently if not exists logins_new_email on auth.logins (new_email) where new_email is not null;

---- create above / drop below ----

drop index auth.logins_new_email;
