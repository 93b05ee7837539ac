-- Cursors and page tokens are sealed with this key, which all instances share: they hold positions, and those count everybody's events.

create table audit.cursor_key (
    id  boolean primary key default true constraint cursor_key_one check (id),
    key bytea   not null constraint cursor_key_length check (octet_length(key) = 32)
);

insert into audit.cursor_key (key)
values (sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')));

grant select on audit.cursor_key to audit;

---- create above / drop below ----

drop table audit.cursor_key;
