-- Each command names the transaction that ended it: who follows changes asks for the rows whose writer an earlier snapshot did not see.
-- Commands that ended before have none and are news to nobody. The table is not rewritten. The trigger is there for programs of the
-- version before, too.

alter table authz.commands add column writer xid8;

create function authz.note_writer() returns trigger language plpgsql as $$
begin
    new.writer := pg_current_xact_id();
    return new;
end
$$;

create trigger commands_over before update on authz.commands for each row when (new.state <> 'accepted') execute function authz.note_writer();

-- Cursors are sealed with this key, which all instances share.
create table authz.cursor_key (
    id  boolean primary key default true constraint cursor_key_one check (id),
    key bytea   not null constraint cursor_key_length check (octet_length(key) = 32)
);

insert into authz.cursor_key (key)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

---- create above / drop below ----

drop table authz.cursor_key;
drop trigger commands_over on authz.commands;
drop function authz.note_writer();
alter table authz.commands drop column writer;
