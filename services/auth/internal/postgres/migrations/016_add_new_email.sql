-- An address that a login gets: it is proven, and reserved until Identity has taken it over.
alter table auth.logins
    add column new_email               text,
    add column new_email_event         jsonb,
    add column new_email_accept        text not null default '',
    add column new_email_attempt_time  timestamptz;
comment on column auth.logins.new_email is 'of two people after one address the one who has it here gets it';
comment on column auth.logins.new_email_event is 'of the request that proved it, which is recorded when the login has the address';
comment on column auth.logins.new_email_attempt_time is 'of the next attempt to have Identity take it over';
