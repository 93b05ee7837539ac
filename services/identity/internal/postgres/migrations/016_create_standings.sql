-- What Auth and Authz are to be told of users who were suspended or restored, until they were.
-- Whoever has the row told sets when it is due again.
create table identity.standings (
    user_id   uuid        primary key references identity.users (id) on delete cascade,
    suspended boolean     not null,
    revision  bigint      not null,
    due       timestamptz not null
);

create index standings_due on identity.standings (due);

---- create above / drop below ----

drop table identity.standings;
