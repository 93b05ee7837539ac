-- A user whom Identity has invited has a code that waits, of the newest revision that Auth was told
-- of, and once it was shown a pending login that makes the user active instead of creating one.
alter table auth.mailed_codes add column revision bigint not null default 0;
alter table auth.logins add column invited boolean not null default false;
comment on column auth.mailed_codes.revision is 'of an invitation: a call that comes late with an older one changes nothing';
comment on column auth.logins.invited is 'while pending: its user waits in Identity for the acceptance';
