-- Whether only people may sign in to a client who have proven that their address is theirs.
alter table auth.clients add column require_verified_email boolean not null default false;
