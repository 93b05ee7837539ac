-- When Auth looks next whether the organization of a policy is still there.
alter table auth.sign_in_policies add column look_time timestamptz not null default now();
