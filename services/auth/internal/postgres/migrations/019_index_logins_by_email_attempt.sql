---- tern: disable-tx ----
-- Of whose address Identity is to be told. Building it
-- holds nobody up.
create index concurrently if not exists logins_email_attempt_time on auth.logins (email_attempt_time) where email_attempt_time is not null;

---- create above / drop below ----

drop index auth.logins_email_attempt_time;
