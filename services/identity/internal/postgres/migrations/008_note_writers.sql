-- Each user, and each one that was deleted lately, names the transaction that changed it last: who follows users asks for the rows whose
-- writer an earlier snapshot did not see. Rows of before have none, and only whoever begins to follow is told of them. No table is rewritten.
-- The triggers are there for programs of the version before, too.

alter table identity.users add column writer xid8;
alter table identity.deleted_users add column organization_id uuid, add column writer xid8;

create function identity.note_writer() returns trigger language plpgsql as $$
begin
    new.writer := pg_current_xact_id();
    return new;
end
$$;

-- What happens to a row after its deletion began is news to nobody.
create trigger users_created before insert on identity.users for each row execute function identity.note_writer();
create trigger users_changed before update on identity.users for each row when (old.state = 'active') execute function identity.note_writer();

-- A user whose row goes is remembered as deleted by whoever began that, so that it is told once.
create function identity.remember_deleted() returns trigger language plpgsql as $$
begin
    insert into identity.deleted_users (id, delete_time, organization_id, writer)
    values (old.id, now(), old.organization_id, case when old.state = 'active' then pg_current_xact_id() else old.writer end)
    on conflict (id) do update set organization_id = excluded.organization_id, writer = excluded.writer;
    return null;
end
$$;

create trigger users_deleted after delete on identity.users for each row execute function identity.remember_deleted();

-- Cursors are sealed with this key, which all instances share.
create table identity.cursor_key (
    id  boolean primary key default true constraint cursor_key_one check (id),
    key bytea   not null constraint cursor_key_length check (octet_length(key) = 32)
);

insert into identity.cursor_key (key)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

---- create above / drop below ----

drop table identity.cursor_key;
drop trigger users_deleted on identity.users;
drop trigger users_changed on identity.users;
drop trigger users_created on identity.users;
drop function identity.remember_deleted();
drop function identity.note_writer();
alter table identity.deleted_users drop column organization_id, drop column writer;
alter table identity.users drop column writer;
