---- tern: disable-tx ----
-- Whose change of address is to be completed. Building it
-- holds nobody up.
create index concurrently if not exists logins_new_email_attempt_time on auth.logins (new_email_attempt_time) where new_email_attempt_time is not null;

---- create above / drop below ----

drop index auth.logins_new_email_attempt_time;
