---- tern: disable-tx ----
-- Whose organization is to be looked for. Building it
-- holds nobody up.
create index concurrently if not exists sign_in_policies_look_time on auth.sign_in_policies (look_time);

---- create above / drop below ----

drop index auth.sign_in_policies_look_time;
