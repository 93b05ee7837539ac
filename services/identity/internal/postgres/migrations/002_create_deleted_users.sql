-- Ids of users that were deleted lately, in any organization: a creation that arrives late must not bring a user back whose login is gone.
-- Rows are removed when no such creation can be under way any more.

create table identity.deleted_users (
    id          uuid        primary key,
    delete_time timestamptz not null
);

create index deleted_users_delete_time on identity.deleted_users (delete_time);

---- create above / drop below ----

drop table identity.deleted_users;
