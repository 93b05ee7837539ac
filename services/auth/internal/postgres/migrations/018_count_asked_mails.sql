-- Those of the mails to an address that tell nobody what has happened, but were asked for.
alter table auth.mail_addresses add column asked_times timestamptz[] not null default '{}';
comment on column auth.mail_addresses.asked_times is 'those of times that were no notices: anybody may ask for mails to an address';
