-- Authz is told of invited users, and of their acceptance, like of suspensions. Auth knows of both by
-- itself.

alter table identity.standings add column invitation boolean not null default false;

---- create above / drop below ----

alter table identity.standings drop column invitation;
