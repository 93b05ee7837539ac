-- In which language whoever has the login is told by mail what somebody else does to it.
alter table auth.logins add column language text not null default '';
comment on column auth.logins.language is 'that they read when they signed up or chose the password last, of those that mails are written in; empty when it is not known';
